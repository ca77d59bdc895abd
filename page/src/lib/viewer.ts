/**
 * NiiVue behind the few verbs that the page needs: one slice of a series with a map and labels over it.
 *
 * Everything that a pointer or a key does is decided outside; NiiVue draws. Nothing else imports it.
 */

import type { Niivue, NVImage } from '@niivue/niivue';
import { LABELS } from './colours';
import { upright, upsideDown, type Nifti } from './nifti';

/** Where voxels lie on screen, in CSS pixels: `x = left + column * width`. */
export interface Grid {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Pan {
  /** Shift [mm], and how many times enlarged. */
  x: number;
  y: number;
  zoom: number;
}

/** NiiVue's number for a NIfTI file in memory. */
const NII = 1;

export class Viewer {
  private image: Nifti | null = null;
  private picture: NVImage | null = null;
  private map: NVImage | null = null;
  private at = 0;

  private constructor(
    private readonly library: typeof import('@niivue/niivue'),
    private readonly niivue: Niivue,
    private readonly canvas: HTMLCanvasElement,
  ) {}

  /** Start a viewer on a canvas. */
  static async open(canvas: HTMLCanvasElement): Promise<Viewer> {
    const library = await import('@niivue/niivue');
    const niivue = new library.Niivue({
      interactive: false,
      crosshairWidth: 0,
      show3Dcrosshair: false,
      isColorbar: false,
      isOrientationTextVisible: false,
      isRadiologicalConvention: false,
      dragAndDropEnabled: false,
      loadingText: '',
      logLevel: 'error',
      backColor: [0, 0, 0, 1],
      sliceType: library.SLICE_TYPE.AXIAL,
    });
    await niivue.attachToCanvas(canvas, false);
    return new Viewer(library, niivue, canvas);
  }

  /** Show a series; whatever was shown before goes. */
  async show(image: Nifti, low: number, high: number, colours: string): Promise<void> {
    for (const old of [this.map, this.picture]) if (old) this.niivue.removeVolume(old);
    this.map = null;
    this.image = image;
    this.picture = await this.volume(image, colours, 1, low, high);
    this.niivue.addVolume(this.picture);
    this.niivue.setSliceType(this.library.SLICE_TYPE.AXIAL);
    this.niivue.createEmptyDrawing();
    const paint = [0, 1, 2].map((label) => LABELS[label] ?? [0, 0, 0]);
    this.niivue.setDrawColormap({
      R: paint.map((colour) => colour[0]),
      G: paint.map((colour) => colour[1]),
      B: paint.map((colour) => colour[2]),
      A: [0, 255, 255],
      I: [0, 1, 2],
      labels: ['', 'myocardium', 'blood pool'],
    } as unknown as string);
    this.setSlice(this.at);
  }

  private volume(image: Nifti, colours: string, opacity: number, low: number, high: number) {
    return this.library.NVImage.new(
      upright(image), 'image.nii', colours, opacity, null, low, high, true, 0.02, false, false, '', 0,
      NII, NaN, NaN, false, null, 0, null,
    ); // prettier-ignore
  }

  /** Lay a map over the series, or take it away. */
  async lay(map: Nifti | null, low: number, high: number, opacity: number): Promise<void> {
    if (this.map) this.niivue.removeVolume(this.map);
    this.map = map ? await this.volume(map, 'cividis', opacity, low, high) : null;
    if (this.map) this.niivue.addVolume(this.map);
    this.setSlice(this.at);
  }

  /** How far the map covers the series, 0 to 1. */
  setMapOpacity(opacity: number): void {
    const index = this.map ? this.niivue.volumes.indexOf(this.map) : -1;
    if (index > 0) this.niivue.setOpacity(index, opacity);
  }

  /** Labels of the whole volume, or of none. */
  setLabels(labels: Uint8Array | null): void {
    const { niivue, image } = this;
    if (!image || !niivue.drawBitmap) return;
    if (labels) niivue.drawBitmap.set(upsideDown(labels, image.dims));
    else niivue.drawBitmap.fill(0);
    niivue.refreshDrawing(true);
  }

  setLabelOpacity(opacity: number): void {
    this.niivue.drawRimOpacity = opacity > 0 ? Math.min(1, opacity + 0.4) : 0;
    this.niivue.setDrawOpacity(opacity);
  }

  setFrame(frame: number): void {
    if (this.picture && this.image && this.image.dims[3] > 1) {
      this.niivue.setFrame4D(this.picture.id, frame);
    }
  }

  setSlice(slice: number): void {
    this.at = slice;
    const slices = this.image?.dims[2] ?? 1;
    this.niivue.scene.crosshairPos = [0.5, 0.5, (slice + 0.5) / slices];
    this.niivue.drawScene();
  }

  setWindow(low: number, high: number): void {
    if (!this.picture) return;
    this.picture.cal_min = low;
    this.picture.cal_max = high;
    this.niivue.updateGLVolume();
  }

  setPan({ x, y, zoom }: Pan): void {
    this.niivue.setPan2Dxyzmm([x, y, 0, zoom]);
    this.niivue.drawScene();
  }

  /** Return where voxels are on screen, or nothing before anything is drawn. */
  grid(): Grid | null {
    const [columns, rows] = this.image?.dims ?? [0, 0];
    if (!columns || this.niivue.screenSlices.length === 0) return null;
    const scale = this.canvas.width / this.canvas.clientWidth || 1;
    const z = this.niivue.scene.crosshairPos[2]!;
    const first = this.niivue.frac2canvasPos([0, 1, z]);
    const last = this.niivue.frac2canvasPos([1, 0, z]);
    if (!first || !last) return null;
    const width = (last[0]! - first[0]!) / scale / columns;
    const height = (last[1]! - first[1]!) / scale / rows;
    return { left: first[0]! / scale + width / 2, top: first[1]! / scale + height / 2, width, height };
  }

  /** Free what the viewer holds of the graphics card. */
  close(): void {
    this.niivue.cleanup();
    this.canvas.getContext('webgl2')?.getExtension('WEBGL_lose_context')?.loseContext();
  }
}
