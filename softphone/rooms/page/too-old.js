// Runs only in browsers without modules, so it is written for them.
document.addEventListener("DOMContentLoaded", function () {
  var paragraph = document.createElement("p");
  paragraph.className = "card problem";
  paragraph.textContent =
    "This browser is too old for calls. Please use a current Firefox, Chrome, Edge or Safari.";
  document.body.insertBefore(paragraph, document.body.firstChild);
});
