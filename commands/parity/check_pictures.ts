/**
 * The VQ tokenizer, and pictures on their way to tokens.
 *
 * @module
 */
import { centerSquare, squareForVq, vqOffset } from "../../core/image/frame.ts";
import { NEWLINE, viewPixels } from "../../core/image/views.ts";
import type { HostTensor } from "../../core/engine/types.ts";
import { visionProjectGraph } from "../../core/model/graphs/vision_project.ts";
import { visionTowerGraph } from "../../core/model/graphs/vision_tower.ts";
import { latentShape } from "../../core/model/graphs/vq_blocks.ts";
import { vqDecodeGraph } from "../../core/model/graphs/vq_decode.ts";
import { vqEncodeGraph } from "../../core/model/graphs/vq_encode.ts";
import { hostFloats } from "../../core/model/outputs.ts";
import { toPlanes } from "../../core/model/pixels.ts";
import { cellsAcross } from "../../core/model/vision_config.ts";
import { requireVision, viewsOf } from "../../core/model/vision.ts";
import type { CaseFile, Json } from "./case_file.ts";
import { formulaPicture, type PictureFormula } from "./pictures.ts";
import type { ReferenceModel } from "./reference_model.ts";
import { CaseReport } from "./report.ts";

/** In 8-bit steps: decoded pixels, and pixels after resizing. */
const DECODED_LIMIT = 1;
const RESIZED_LIMIT = 2;
/** Tells exact and tanh GELU apart. */
const PROJECTED_LIMIT = 5e-5;

export async function checkVq(file: CaseFile, { config, weights, engine, model }: ReferenceModel) {
  const reports: CaseReport[] = [];
  for (const [name, settings] of file.cases) {
    const report = new CaseReport(file.name, name);
    const [height, width] = settings["grid"] as [number, number];
    const ids = await file.integers(`${name}/ids`);
    if (settings["width"] !== undefined) {
      const picture = formulaPicture(settings as unknown as PictureFormula);
      report.equal("ids", await model.encode(picture), ids);
      report.graphs.add("vq_encode");
      const observe = file.names(name).filter((tensor) => tensor === "latents" || tensor.startsWith("encoder."));
      if (observe.length > 0) {
        const session = await engine.load(await vqEncodeGraph(config.vq, weights, observe));
        const outputs = await session.run(
          { picture: toPlanes(picture), ...latentShape(config.vq, height, width) },
          observe,
        );
        for (const each of observe) {
          report.close(each, await hostFloats(outputs, each), await file.floats(`${name}/${each}`), file.tolerance);
        }
        await session.release();
        if (file.has(`${name}/distance_gap`) && observe.includes("latents")) {
          const codes = await weights.read("model.vqvae.quantize.embedding.weight");
          const [gaps, farthest] = distanceGaps(
            await hostFloats(outputs, "latents"),
            codes,
            config.vq.embeddingDimension,
          );
          report.scaled("distance_gap", gaps, await file.floats(`${name}/distance_gap`), farthest, file.tolerance);
        }
        report.graphs.add("vq_encode (observed)");
      }
    }
    if (file.has(`${name}/pixels`)) {
      const decoded = await model.decode(Uint16Array.from(ids), width);
      report.within("pixels", decoded.data, await file.integers(`${name}/pixels`), DECODED_LIMIT);
      report.graphs.add("vq_decode");
    }
    if (file.has(`${name}/decoded`)) {
      const session = await engine.load(await vqDecodeGraph(config.vq, weights));
      const grid: HostTensor = { dtype: "int32", dims: [1, height, width], data: ids };
      const outputs = await session.run({ ids: grid, ...latentShape(config.vq, height, width) }, ["picture"]);
      report.close(
        "decoded",
        await hostFloats(outputs, "picture"),
        await file.floats(`${name}/decoded`),
        file.tolerance,
      );
      await session.release();
    }
    reports.push(report);
  }
  return reports;
}

/** By place: the distance of the second nearest code minus that of the nearest; and the largest of the nearest ones. */
function distanceGaps(latents: Float32Array, codes: Float32Array, size: number): readonly [Float64Array, number] {
  const places = latents.length / size;
  let farthest = 0;
  const gaps = Float64Array.from({ length: places }, (_, place) => {
    let [first, second] = [Infinity, Infinity];
    for (let code = 0; code < codes.length; code += size) {
      let squares = 0;
      for (let i = 0; i < size; i++) squares += ((latents[i * places + place] ?? NaN) - (codes[code + i] ?? NaN)) ** 2;
      if (squares < first) [first, second] = [squares, first];
      else if (squares < second) second = squares;
    }
    farthest = Math.max(farthest, Math.sqrt(first));
    return Math.sqrt(second) - Math.sqrt(first);
  });
  return [gaps, farthest];
}

export async function checkPreprocess(file: CaseFile, reference: ReferenceModel): Promise<CaseReport[]> {
  const reports: CaseReport[] = [];
  for (const [name, settings] of file.cases) {
    const report = new CaseReport(file.name, name);
    // A case either counts views and tokens, or holds the tower's states.
    if (settings["best_resolution"] !== undefined) await checkViews(file, name, settings, report, reference);
    else await checkEncoder(file, name, settings, report, reference);
    reports.push(report);
  }
  return reports;
}

async function checkViews(
  file: CaseFile,
  name: string,
  settings: Json,
  report: CaseReport,
  { config }: ReferenceModel,
) {
  const vision = requireVision(config);
  const picture = formulaPicture(settings as unknown as PictureFormula);
  const { views, order, tiles, resolution } = viewsOf(vision, picture, "tiles");
  const wanted = settings["tiles"] as { across: number; down: number };
  report.equal("best_resolution", resolution ?? [], settings["best_resolution"] as number[]);
  report.equal("tiles", [tiles.across, tiles.down], [wanted.across, wanted.down]);
  const newlines = order.filter((cell) => cell === NEWLINE).length;
  const figures = ["views", "tokens", "newlines"].map((key) => settings[key] as number);
  report.equal("views, tokens, newlines", [views.length, order.length, newlines], figures);
  const offset = settings["vq_pad_offset"] as { left: number; top: number };
  report.equal("vq_pad_offset", [vqOffset(picture).left, vqOffset(picture).top], [offset.left, offset.top]);

  const side = vision.imageSize;
  const pixels = viewPixels(views).data as Float32Array;
  const at = (view: number, channel: number, y: number, x: number) =>
    pixels[((view * 3 + channel) * side + y) * side + x] ?? NaN;
  const each = <T>(of: (view: number) => T[]) => views.flatMap((_, view) => of(view));
  const channels = [0, 1, 2];
  // After normalisation to -1..1 a step of 8 bits is 2/255.
  const limit = RESIZED_LIMIT * 2 / 255;
  const marks = file.json["marks"] as [number, number][];
  const compare = async (tensor: string, values: number[], most: number) => {
    if (file.has(`${name}/${tensor}`)) report.within(tensor, values, await file.floats(`${name}/${tensor}`), most);
  };
  await compare("marks", each((v) => marks.flatMap(([y, x]) => channels.map((c) => at(v, c, y, x)))), limit);
  const grid = Array.from({ length: Math.ceil((side - 12) / 24) }, (_, i) => 12 + 24 * i);
  const coarse = each((v) => channels.flatMap((c) => grid.flatMap((y) => grid.map((x) => at(v, c, y, x)))));
  await compare("view_coarse", coarse, limit);
  const mean = (view: number, channel: number, of: (value: number) => number) => {
    const from = (view * 3 + channel) * side * side;
    let sum = 0;
    for (let i = from; i < from + side * side; i++) sum += of(pixels[i] ?? NaN);
    return sum / side ** 2;
  };
  await compare("view_mean", each((v) => channels.map((c) => mean(v, c, (x) => x))), limit);
  await compare("view_mean_square", each((v) => channels.map((c) => mean(v, c, (x) => x * x))), limit);

  if (file.has(`${name}/order`)) {
    const cells = cellsAcross(vision) ** 2;
    const numbered = order.map((cell) => cell === NEWLINE ? -1 : Math.floor(cell / cells) * 1000 + cell % cells);
    report.equal("order", numbered, await file.integers(`${name}/order`));
  }
  // Every 8th pixel from 4 of a square of 256.
  const eighths = Array.from({ length: 32 }, (_, i) => 4 + 8 * i);
  const square = squareForVq(picture, 256);
  const value = (data: Uint8Array, y: number, x: number, c: number) => data[(y * 256 + x) * 3 + c] ?? NaN;
  const planes = channels.flatMap((c) => eighths.flatMap((y) => eighths.map((x) => value(square.data, y, x, c) / 255)));
  await compare("vq_input_coarse", planes, RESIZED_LIMIT / 255 + 1e-6);
  if (file.has(`${name}/crop_coarse`)) {
    const { data } = centerSquare(picture, 256);
    const crop = eighths.flatMap((y) => eighths.flatMap((x) => channels.map((c) => value(data, y, x, c))));
    report.within("crop_coarse", crop, await file.integers(`${name}/crop_coarse`), RESIZED_LIMIT);
  }
}

async function checkEncoder(
  file: CaseFile,
  name: string,
  settings: Json,
  report: CaseReport,
  { config, weights, engine, model }: ReferenceModel,
) {
  const vision = requireVision(config);
  const picture = formulaPicture(settings as unknown as PictureFormula);
  const { views, order } = viewsOf(vision, picture, "tiles");
  const pixels = viewPixels(views);
  if (file.has(`${name}/pixels_view1`)) {
    const one = viewPixels(views.slice(1, 2)).data as Float32Array;
    report.within("pixels_view1", one, await file.floats(`${name}/pixels_view1`), RESIZED_LIMIT * 2 / 255);
  }
  const limit = (file.json["tolerance"] as { encoder?: number }).encoder ?? file.tolerance;
  const compare = async (tensor: string, values: Float32Array, most = limit) => {
    if (!file.has(`${name}/${tensor}`)) return;
    const expected = await file.floats(`${name}/${tensor}`);
    report.close(tensor, values.subarray(0, expected.length), expected, most);
  };
  const hidden = file.names(name).flatMap((tensor) => /^(hidden\d+)_view1$/.exec(tensor)?.[1] ?? []);
  const tower = await engine.load(await visionTowerGraph(vision, weights, hidden));
  const outputs = await tower.run({ pixels }, ["features", ...hidden]);
  const features = await hostFloats(outputs, "features");
  const size = features.length / views.length;
  for (const each of hidden) {
    await compare(`${each}_view1`, (await hostFloats(outputs, each)).subarray(size, 2 * size));
  }
  await compare("tower_out", features);
  await tower.release();
  const project = await engine.load(await visionProjectGraph(config, vision, weights, ["pooled"]));
  const shape: HostTensor = {
    dtype: "float32",
    dims: [views.length, size / vision.hidden, vision.hidden],
    data: features,
  };
  const projected = await project.run({ features: shape }, ["pooled", "tokens"]);
  await compare("pooled", await hostFloats(projected, "pooled"));
  await compare("projected", await hostFloats(projected, "tokens"), PROJECTED_LIMIT);
  await project.release();
  report.graphs.add("vision_tower (observed)").add("vision_project (observed)");
  if (!file.has(`${name}/projected`)) return;
  // The whole way as it ships: views, tower, projector, newlines.
  const expected = await file.floats(`${name}/projected`);
  const newline = await weights.read("model.image_newline");
  const d = config.dModel;
  const whole = new Float32Array(order.length * d);
  for (const [place, cell] of order.entries()) {
    whole.set(cell === NEWLINE ? newline : expected.subarray(cell * d, (cell + 1) * d), place * d);
  }
  report.close("tokens in order", await model.understanding.look(picture, "tiles"), whole, PROJECTED_LIMIT);
  report.graphs.add("vision_tower").add("vision_project");
}
