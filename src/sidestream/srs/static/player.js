// Moves a line over the waveforms while the recording plays; a click on a waveform plays from there.
const audio = document.querySelector("audio");

function show() {
  const share = audio.duration > 0 ? audio.currentTime / audio.duration : 0;
  for (const line of document.querySelectorAll(".playhead")) {
    const x = String(share * line.ownerSVGElement.viewBox.baseVal.width);
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  }
  if (!audio.paused) requestAnimationFrame(show);
}

if (audio !== null) {
  for (const name of ["play", "seeked", "timeupdate"]) audio.addEventListener(name, show);
  for (const waveform of document.querySelectorAll(".waveform")) {
    waveform.addEventListener("click", (event) => {
      const box = waveform.getBoundingClientRect();
      if (audio.duration > 0) audio.currentTime = ((event.clientX - box.left) / box.width) * audio.duration;
    });
  }
}
