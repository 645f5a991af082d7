/** Packets as tshark reads them: a line each, every field of one when it is opened. */
import { useState } from "preact/hooks";
import { useAnswer } from "../ask";
import { count, plural } from "../format";
import { useParam } from "../scope";
import { moment } from "../time";
import type { Schemas } from "../types";
import { Pager } from "./controls";
import { Panel } from "./panel";
import { Async, Empty } from "./states";
import "./packets.css";

type Dissection = Schemas["DissectionAnswer"];
type Packet = Dissection["packets"][number];

const PAGE = 50;

export function Packets({ path }: { path: string }) {
  const [text, setText] = useParam("packet", "0");
  const offset = Number(text) || 0;
  const read = useAnswer<Dissection>(path, { first: offset + 1, limit: PAGE });
  return (
    <Panel title="Packets, as tshark reads them">
      <Async of={read}>
        {(dissection) =>
          dissection.packets.length === 0 ? (
            <Empty title="There are no packets to show.">{missing(dissection) || "They may have left the packet ring."}</Empty>
          ) : (
            <>
              <p class="muted small">
                {plural(dissection.total, "packet")} of its window and the second around it, between its hosts
                {dissection.is_truncated && ", and there are more"}. {missing(dissection)}
              </p>
              <Lines path={path} packets={dissection.packets} />
              <Pager offset={offset} limit={PAGE} total={dissection.total} onOffset={(next) => setText(String(next))} />
            </>
          )
        }
      </Async>
    </Panel>
  );
}

function missing({ segments_gone: gone, segments_unreadable: unreadable }: Dissection): string {
  const lost = gone + unreadable.length;
  return lost ? `${plural(lost, "segment")} of the packet ring cannot be read any more.` : "";
}

function Lines({ path, packets }: { path: string; packets: Packet[] }) {
  const [open, setOpen] = useState<number | null>(null);
  const first = packets[0].time;
  return (
    <div class="table-scroll" role="region" aria-label="Packets" tabIndex={0}>
      <table class="table packets">
        <caption class="sr-only">Packets as tshark reads them; the first column opens all fields of one</caption>
        <thead>
          <tr>
            <th scope="col">No.</th>
            <th scope="col" class="num">Time, s</th>
            <th scope="col">Source</th>
            <th scope="col">Destination</th>
            <th scope="col">Protocol</th>
            <th scope="col" class="num">Bytes</th>
            <th scope="col">Info</th>
          </tr>
        </thead>
        <tbody>
          {packets.map((packet) => (
            <Line
              key={packet.number}
              path={path}
              packet={packet}
              after={packet.time - first}
              isOpen={open === packet.number}
              onOpen={() => setOpen(open === packet.number ? null : packet.number)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ path, packet, after, isOpen, onOpen }: {
  path: string;
  packet: Packet;
  after: number;
  isOpen: boolean;
  onOpen: () => void;
}) {
  return (
    <>
      <tr class={isOpen ? "is-marked" : undefined}>
        <td>
          <button type="button" class="packet-open" aria-expanded={isOpen} onClick={onOpen} title="All fields">
            <span aria-hidden="true">{isOpen ? "▾" : "▸"}</span> {count(packet.number)}
          </button>
        </td>
        <td class="num" title={moment(packet.time)}>{after.toFixed(6)}</td>
        <td>{packet.source}</td>
        <td>{packet.destination}</td>
        <td>{packet.protocol}</td>
        <td class="num">{packet.length}</td>
        <td>{packet.info}</td>
      </tr>
      {isOpen && (
        <tr class="packet-layers">
          <td colSpan={7}>
            <Layers path={path} number={packet.number} />
          </td>
        </tr>
      )}
    </>
  );
}

function Layers({ path, number }: { path: string; number: number }) {
  const read = useAnswer<Dissection>(path, { first: number, limit: 1, layers: true });
  return (
    <Async of={read}>
      {({ packets }) => (
        <div class="layers">
          {Object.entries(packets[0]?.layers ?? {}).map(([name, fields]) => (
            <details key={name} open={name !== "frame" && name !== "eth"}>
              <summary>
                {LAYERS[name] ?? name} <span class="mono muted">{LAYERS[name] && name}</span>
              </summary>
              <Fields of={fields} />
            </details>
          ))}
        </div>
      )}
    </Async>
  );
}

/** Layers as Wireshark calls them; the others under tshark's short name. */
const LAYERS: Record<string, string> = {
  frame: "Frame", eth: "Ethernet II", vlan: "802.1Q Virtual LAN", arp: "Address Resolution Protocol", ip: "Internet Protocol Version 4",
  ipv6: "Internet Protocol Version 6", icmp: "Internet Control Message Protocol", icmpv6: "Internet Control Message Protocol v6",
  tcp: "Transmission Control Protocol", udp: "User Datagram Protocol", http: "Hypertext Transfer Protocol", tls: "Transport Layer Security",
  dns: "Domain Name System", ssh: "SSH Protocol", ftp: "File Transfer Protocol",
};

/** Fields as a tree, indented; subtrees hang below the field they explain. */
function Fields({ of }: { of: unknown }) {
  if (of === null || typeof of !== "object") return <span>{String(of)}</span>;
  const entries = Array.isArray(of) ? of.map((value, place) => [String(place + 1), value] as const) : Object.entries(of);
  return (
    <ul class="fields">
      {entries.map(([name, value]) => (
        <li key={name}>
          <span class="field-name">{name}</span> {typeof value === "object" ? <Fields of={value} /> : <span class="break">{String(value)}</span>}
        </li>
      ))}
    </ul>
  );
}
