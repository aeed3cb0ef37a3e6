/** The device's cameras as a video that plays. */

const REASONS = {
  NotAllowedError: "The camera was not allowed. Allow it in the browser's settings of this page, then try again.",
  NotFoundError: "No camera was found on this device.",
  NotReadableError: "The camera is used by another program. Close that, then try again.",
  OverconstrainedError: "No camera was found on this device.",
};

export class Camera {
  constructor() {
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this.device = null;
    this.running = false; // or about to
  }

  /** Start the camera that was chosen, or that at the back where there are two; `lost` is called should it go away. */
  async start(lost) {
    if (!navigator.mediaDevices) throw new Error("Browsers give a page the camera over HTTPS or from localhost alone.");
    const which = this.device ? { deviceId: { exact: this.device } } : { facingMode: "environment" };
    this.running = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { ...which, width: { ideal: 640 } } });
      if (!this.running) return stream.getTracks().forEach((track) => track.stop()); // stopped while the user was asked
      stream.getTracks().forEach((track) => track.addEventListener("ended", lost));
      this.video.srcObject = stream;
      await this.#picture();
    } catch (error) {
      if (!this.running) return;
      this.stop();
      throw new Error(REASONS[error.name] || `The camera does not start: ${error.message}`);
    }
  }

  stop() {
    this.running = false;
    this.video.srcObject?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }

  /** What the camera sees now; null once it is stopped. */
  async frame() {
    try {
      return await createImageBitmap(this.video);
    } catch (error) {
      if (this.running) throw error;
      return null;
    }
  }

  /** How many cameras there are. */
  async count() {
    return (await this.#devices()).length;
  }

  /** Let the next start take the camera behind the one that runs. */
  async choose() {
    const ids = (await this.#devices()).map((device) => device.deviceId);
    const now = this.video.srcObject?.getVideoTracks()[0].getSettings().deviceId;
    this.device = ids[(ids.indexOf(now) + 1) % ids.length];
  }

  /** Wait for the first frame. */
  async #picture() {
    const { video } = this;
    const first = new Promise((resolve) => video.addEventListener("loadeddata", resolve, { once: true }));
    await video.play();
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) await first;
  }

  async #devices() {
    return (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
  }
}
