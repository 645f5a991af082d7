/** A table: sortable headers that say how they sort, rows that lead somewhere. */
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";

export interface Column<Row> {
  key: string;
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** What rows are sorted by, here in the page; without it the column is not sortable. */
  sort?: (row: Row) => number | string | null;
  /** Right-aligned, figures of equal width. */
  numeric?: boolean;
  /** Left out on narrow screens. */
  minor?: boolean;
  /** Takes the width that is left, and wraps. */
  grow?: boolean;
}

interface Order {
  key: string;
  isDown: boolean;
}

export interface TableProps<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string | number;
  /** Where a click on a row leads; put a link into a cell as well, for keyboards. */
  href?: (row: Row) => string;
  isMarked?: (row: Row) => boolean;
  /** Order to begin with. */
  order?: Order;
}

export function Table<Row>({ caption, columns, rows, rowKey, href, isMarked, order: first }: TableProps<Row>) {
  const [order, setOrder] = useState<Order | null>(first ?? null);
  const [, navigate] = useLocation();
  const sorted = useMemo(() => inOrder(rows, columns, order), [rows, columns, order]);
  const follow = (event: MouseEvent, row: Row) => {
    const target = event.target as HTMLElement;
    if (href && !target.closest("a, button, input, select, summary") && !window.getSelection()?.toString()) {
      navigate(href(row));
    }
  };
  return (
    <div class="table-scroll" role="region" aria-label={caption} tabIndex={0}>
      <table class="table">
        <caption class="sr-only">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.key} column={column} order={order} onOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => (
            <tr
              key={rowKey(row)}
              class={[href ? "is-link" : "", isMarked?.(row) ? "is-marked" : ""].join(" ").trim() || undefined}
              onClick={href ? (event) => follow(event, row) : undefined}
            >
              {columns.map((column) => (
                <td key={column.key} class={classesOf(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Head<Row>({ column, order, onOrder }: {
  column: Column<Row>;
  order: Order | null;
  onOrder: (order: Order) => void;
}) {
  const isChosen = order?.key === column.key;
  const isDown = isChosen && order.isDown;
  const said = isChosen ? (isDown ? "descending" : "ascending") : undefined;
  return (
    <th scope="col" class={classesOf(column)} aria-sort={column.sort ? (said ?? "none") : undefined}>
      {column.sort ? (
        <button
          type="button"
          class="sort"
          onClick={() => onOrder({ key: column.key, isDown: isChosen ? !isDown : Boolean(column.numeric) })}
        >
          {column.title}
          <span aria-hidden="true" class="sort-sign">
            {isChosen ? (isDown ? "▾" : "▴") : "⬍"}
          </span>
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

function classesOf<Row>(column: Column<Row>): string | undefined {
  return [column.numeric && "num", column.minor && "minor", column.grow && "grow"].filter(Boolean).join(" ") || undefined;
}

function inOrder<Row>(rows: Row[], columns: Column<Row>[], order: Order | null): Row[] {
  const by = columns.find((column) => column.key === order?.key)?.sort;
  if (!by || !order) return rows;
  const way = order.isDown ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [by(one), by(other)];
    if (a === b) return 0;
    // What is not known stands last, whichever way.
    if (a === null) return 1;
    if (b === null) return -1;
    return a < b ? -way : way;
  });
}
