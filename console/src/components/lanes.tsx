/** What happened when: a lane for each kind, a mark for each thing, drawn from its beginning to its end. */
import { Link } from "wouter-preact";
import { moment } from "../time";
import "./lanes.css";

export interface Happening {
  key: string;
  lane: string;
  /** Seconds since the epoch. */
  from: number;
  to: number;
  isHigh: boolean;
  title: string;
  href: string;
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];
const TICKS = 6;

/** Round moments between two others. */
export function ticks(from: number, to: number): number[] {
  const step = STEPS_S.find((each) => (to - from) / each <= TICKS) ?? STEPS_S[STEPS_S.length - 1];
  const first = Math.ceil(from / step) * step;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, place) => first + place * step);
}

/** The table beside it says the same to keyboards and screen readers, so the marks are for eyes and mice alone. */
export function Lanes({ title, of, from, to }: { title: string; of: Happening[]; from: number; to: number }) {
  const names = [...new Set(of.map(({ lane }) => lane))].sort();
  const reach = Math.max(to - from, 0.001);
  const place = (at: number) => `${(100 * (Math.min(Math.max(at, from), to) - from)) / reach}%`;
  const isLong = reach > 172_800;
  return (
    <figure class="lanes" aria-label={title}>
      {names.map((name) => (
        <div key={name} class="lane">
          <span class="lane-name">{name}</span>
          <div class="lane-line" aria-hidden="true">
            {of
              .filter(({ lane }) => lane === name)
              .map((one) => (
                <Link
                  key={one.key}
                  href={one.href}
                  title={one.title}
                  tabIndex={-1}
                  class={one.isHigh ? "lane-mark lane-high" : "lane-mark"}
                  style={{ left: place(one.from), width: `max(7px, ${(100 * (Math.min(one.to, to) - Math.max(one.from, from))) / reach}%)` }}
                />
              ))}
          </div>
        </div>
      ))}
      <div class="lane" aria-hidden="true">
        <span class="lane-name" />
        <div class="lane-axis">
          {ticks(from, to).map((at) => (
            <span key={at} style={{ left: place(at) }}>
              {isLong ? moment(at).slice(5, 16) : moment(at, false)}
            </span>
          ))}
        </div>
      </div>
    </figure>
  );
}
