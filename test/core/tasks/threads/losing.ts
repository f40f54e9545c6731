/** The inference thread, whose GPU device is lost when the channel `lose the device` says how: as by a reset driver. */
import { serveThread } from "../../../../core/engine/thread_serve.ts";
import { ThreadHandlers } from "../../../../core/tasks/thread_handlers.ts";

const devices: GPUDevice[] = [];
const request = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (...args) {
  const device = await request.apply(this, args);
  devices.push(device);
  return device;
};

const handlers = new ThreadHandlers();
let steps = Infinity;
const channel = new BroadcastChannel("lose the device");
/** In the middle of the step after so many. */
channel.onmessage = ({ data }: MessageEvent<number>) => steps = data;

const lose = () => devices.forEach((device) => device.destroy());
const { step } = handlers.calls;
handlers.calls.step = (id) => {
  if (steps-- > 0) return step(id);
  const work = step(id);
  setTimeout(lose, 0);
  return work;
};

serveThread(handlers.calls, async () => {
  channel.close();
  await handlers.shutDown();
});
