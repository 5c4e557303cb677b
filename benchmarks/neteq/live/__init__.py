"""Live runs: DTLS-SRTP over loopback into real receivers."""
