/** uPlot behind the two plots that the page needs. Nothing else imports it. */

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Line {
  name: string;
  colour: string;
  values: (number | null)[];
  dash?: number[];
  points?: boolean;
}

export interface PlotOptions {
  x: number[];
  xLabel: string;
  yLabel: string;
  lines: Line[];
  height: number;
  /** Fixed range of the vertical axis. */
  yRange?: [number, number];
  /** Whether `x` counts, so that there is nothing between whole numbers. */
  whole?: boolean;
  /** A vertical mark, by its place in `x`. */
  mark?: () => number | null;
  onpick?: (index: number) => void;
}

function style(element: Element, name: string): string {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

/** Draw lines over a shared axis. */
export class Plot {
  private plot: uPlot;
  private readonly observer: ResizeObserver;

  constructor(
    private readonly host: HTMLElement,
    private readonly options: PlotOptions,
  ) {
    this.plot = this.make();
    this.observer = new ResizeObserver(() => {
      this.plot.setSize({ width: host.clientWidth, height: options.height });
    });
    this.observer.observe(host);
  }

  private make(): uPlot {
    const { host, options } = this;
    const text = style(host, '--muted');
    const grid = { stroke: style(host, '--line'), width: 1 };
    const font = '12px system-ui, sans-serif';
    const axis = { stroke: text, grid, ticks: grid, font, labelFont: font, labelSize: 18 };
    return new uPlot(
      {
        width: Math.max(100, host.clientWidth),
        height: options.height,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: { time: false }, ...(options.yRange ? { y: { range: options.yRange } } : {}) },
        axes: [
          { ...axis, label: options.xLabel, size: 34, ...(options.whole ? { incrs: [1, 2, 5, 10, 20, 50] } : {}) },
          { ...axis, label: options.yLabel, size: 52 },
        ],
        series: [
          {},
          ...options.lines.map((line) => ({
            label: line.name,
            stroke: line.colour,
            width: 2,
            ...(line.dash ? { dash: line.dash } : {}),
            points: { show: line.points ?? false },
          })),
        ],
        hooks: {
          draw: [(plot) => this.drawMark(plot)],
          ready: [
            (plot) => {
              plot.over.addEventListener('click', () => {
                if (plot.cursor.idx != null) options.onpick?.(plot.cursor.idx);
              });
            },
          ],
        },
      },
      [options.x, ...options.lines.map((line) => line.values)] as uPlot.AlignedData,
      host,
    );
  }

  private drawMark(plot: uPlot): void {
    const index = this.options.mark?.() ?? null;
    if (index === null) return;
    const x = plot.valToPos(this.options.x[index] ?? 0, 'x', true);
    plot.ctx.save();
    plot.ctx.strokeStyle = style(this.host, '--text');
    plot.ctx.lineWidth = devicePixelRatio;
    plot.ctx.beginPath();
    plot.ctx.moveTo(x, plot.bbox.top);
    plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
    plot.ctx.stroke();
    plot.ctx.restore();
  }

  /** Draw again, for another mark. */
  redraw(): void {
    this.plot.redraw(false);
  }

  /** Take other values for the same lines. */
  setValues(lines: (number | null)[][]): void {
    this.plot.setData([this.options.x, ...lines] as uPlot.AlignedData);
  }

  close(): void {
    this.observer.disconnect();
    this.plot.destroy();
  }
}
