// Keeps the picture, the sound that was chosen and the line across the time line together.
function setUp() {
  const stage = element.querySelector(".stage:not(.empty)");
  if (!stage || stage.dataset.ready) return;
  stage.dataset.ready = "yes";
  const length = Number(stage.dataset.length);
  const picture = stage.querySelector(".picture");
  const sounds = [...stage.querySelectorAll(".sound")];
  const timeline = stage.querySelector(".timeline");
  const playhead = stage.querySelector(".playhead");
  const clock = stage.querySelector(".clock");
  const play = stage.querySelector(".play");
  let hasPicture = Boolean(picture);
  let chosen = null;

  // The clip has the mix in it, exactly in time; stems play beside the muted clip.
  const isInClip = () => hasPicture && chosen === sounds[0];
  const leader = () => (hasPicture ? picture : chosen);

  function choose(name) {
    const time = chosen ? leader().currentTime : 0;
    const isPlaying = chosen ? !leader().paused : false;
    sounds.forEach((sound) => sound.pause());
    chosen = sounds.find((sound) => sound.dataset.stem === name);
    if (hasPicture) picture.muted = !isInClip();
    stage.querySelectorAll(".stem").forEach((button) => {
      button.classList.toggle("chosen", button.dataset.stem === name);
      button.setAttribute("aria-pressed", button.dataset.stem === name);
    });
    stage.querySelectorAll(".lanes").forEach((lanes) => (lanes.hidden = lanes.dataset.stem !== name));
    chosen.currentTime = time;
    if (isPlaying) start();
  }
  function start() {
    if (leader().currentTime >= length - 0.02) seek(0);
    leader().play();
    if (hasPicture && !isInClip()) {
      chosen.currentTime = picture.currentTime;
      chosen.play();
    }
  }
  function stop() {
    leader().pause();
    chosen.pause();
  }
  function seek(time) {
    leader().currentTime = time;
    chosen.currentTime = time;
    draw();
  }
  function draw() {
    const time = Math.min(leader().currentTime, length);
    playhead.style.left = `${(100 * time) / length}%`;
    clock.textContent = `${time.toFixed(2)} / ${length.toFixed(2)} s`;
    timeline.setAttribute("aria-valuenow", time.toFixed(2));
    stage.classList.toggle("playing", !leader().paused);
    play.setAttribute("aria-label", leader().paused ? "Play" : "Pause");
  }
  function follow() {
    if (!stage.isConnected) return;
    if (hasPicture && !isInClip() && !picture.paused && Math.abs(chosen.currentTime - picture.currentTime) > 0.08) {
      chosen.currentTime = picture.currentTime;
    }
    draw();
    requestAnimationFrame(follow);
  }
  function seekTo(event) {
    const box = timeline.getBoundingClientRect();
    seek(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * length);
  }

  play.addEventListener("click", () => (leader().paused ? start() : stop()));
  stage.querySelectorAll(".stem").forEach((button) => button.addEventListener("click", () => choose(button.dataset.stem)));
  timeline.addEventListener("pointerdown", (event) => {
    timeline.setPointerCapture(event.pointerId);
    seekTo(event);
  });
  timeline.addEventListener("pointermove", (event) => timeline.hasPointerCapture(event.pointerId) && seekTo(event));
  timeline.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -0.1, ArrowRight: 0.1 };
    if (event.key in steps) seek(Math.min(length, Math.max(0, leader().currentTime + steps[event.key])));
    if (event.key === " ") leader().paused ? start() : stop();
    if (event.key in steps || event.key === " ") event.preventDefault();
  });
  if (picture) {
    picture.addEventListener("click", () => play.click());
    picture.addEventListener("ended", stop);
    picture.addEventListener("error", () => {
      hasPicture = false;
      picture.hidden = true;
      stage.querySelector(".unplayable").hidden = false;
    });
  }
  choose(sounds[0].dataset.stem);
  follow();
}
watch("value", setUp);
setUp();
