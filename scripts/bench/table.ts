/** The figures as a table for a document, written between two marks so that what stands around it is left alone. */

import type { Case } from './case.ts'
import { type Line, shown, sidesOf, wanted } from './report.ts'

export interface Found {
  case: Case
  lines: readonly Line[]
}

/**
 * The document with its figures replaced. Throws where it has no place for them.
 * @param place the name in the marks: `<!-- figures -->` and `<!-- /figures -->`.
 */
export function withFigures(
  document: string,
  about: Record<string, string>,
  found: readonly Found[],
  place = 'figures',
): string {
  const [opening, closing] = [`<!-- ${place} -->`, `<!-- /${place} -->`]
  const start = document.indexOf(opening)
  const end = document.indexOf(closing)
  if (start < 0 || end < start) throw new Error(`the document has no ${opening} … ${closing}`)
  const figures = ['', ...aboutRows(about), '', ...found.flatMap(tableOf)].join('\n')
  return `${document.slice(0, start + opening.length)}\n${figures}${document.slice(end)}`
}

function aboutRows(about: Record<string, string>): string[] {
  return Object.entries(about).map(([name, value]) => `- ${name}: ${value}`)
}

function tableOf({ case: measured, lines }: Found): string[] {
  const sides = [...new Set(lines.flatMap((line) => Object.keys(line.sides)))]
  const { reference, own } = sidesOf(measured)
  const head = [measured.title, ...sides, reference === own ? '' : `as fast as ${reference}`, 'target']
  return [
    row(head),
    row(head.map((_, column) => (column === 0 ? '---' : '---:'))),
    ...lines.map((l) => lineOf(l, sides)),
    '',
  ]
}

function lineOf({ metric, sides, ratio, met }: Line, columns: readonly string[]): string {
  const figures = columns.map((side) => {
    const figure = sides[side]
    // One side may have no such thing, such as another instance.
    return figure === undefined || Number.isNaN(figure.median) ? '' : `${shown(figure.median)} ${metric.unit}`
  })
  return row([
    metric.title,
    ...figures,
    ratio === undefined ? '' : ratio.toFixed(2),
    targetOf(metric.target, metric.unit, met),
  ])
}

function targetOf(target: Line['metric']['target'], unit: string, met: boolean | undefined): string {
  if (target === undefined) return ''
  return met === undefined ? wanted(target, unit) : `${wanted(target, unit)}: ${met ? 'met' : 'missed'}`
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
