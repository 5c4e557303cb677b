"use strict";
(() => {
  const call = JSON.parse(document.getElementById("call").textContent);
  const picture = document.getElementById("picture");
  const scroll = document.getElementById("scroll");
  const cursor = document.getElementById("cursor");
  const players = call.tracks.map((track) => document.getElementById("audio-" + track.name));
  const choices = [...document.querySelectorAll("input[name=track]")];
  let active = Math.max(0, choices.findIndex((choice) => choice.checked));

  // Long calls have a picture wider than the page: let it scroll instead of shrinking it.
  picture.classList.toggle("wide", call.width > 2200);

  const moment = () => players[active].currentTime + call.tracks[active].start;
  const seek = (time) => {
    const player = players[active];
    const last = Number.isFinite(player.duration) ? player.duration : Infinity;
    player.currentTime = Math.min(Math.max(time - call.tracks[active].start, 0), last);
  };

  const place = () => {
    const share = (moment() - call.start) / (call.end - call.start);
    const left = call.left + Math.min(Math.max(share, 0), 1) * (call.right - call.left);
    cursor.style.left = 100 * left + "%";
    cursor.hidden = false;
    const x = left * picture.clientWidth;
    const playing = !players[active].paused;
    if (playing && (x < scroll.scrollLeft + 40 || x > scroll.scrollLeft + scroll.clientWidth - 40)) {
      scroll.scrollLeft = x - 0.2 * scroll.clientWidth;
    }
  };

  const follow = () => {
    place();
    if (!players[active].paused) requestAnimationFrame(follow);
  };

  const choose = (index) => {
    if (index === active) return;
    const time = moment();
    const playing = !players[active].paused;
    players[active].pause();
    players[active].hidden = true;
    active = index;
    players[active].hidden = false;
    seek(time);
    if (playing) players[active].play();
    place();
  };

  players.forEach((player, index) => {
    player.hidden = index !== active;
    player.addEventListener("play", follow);
    for (const event of ["seeked", "timeupdate"]) {
      player.addEventListener(event, () => { if (index === active) place(); });
    }
  });
  choices.forEach((choice, index) => choice.addEventListener("change", () => choose(index)));
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width - call.left) / (call.right - call.left);
    seek(call.start + Math.min(Math.max(share, 0), 1) * (call.end - call.start));
    place();
  });
})();
