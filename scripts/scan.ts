/** What a TypeScript module imports, and which globals it touches, as its syntax tree says. */
import { parseSync, Visitor } from 'oxc-parser'

export interface Import {
  readonly specifier: string
  /** `import type`, `export type … from`, `import('…')` in a type. */
  readonly typeOnly: boolean
  readonly line: number
}

export interface GlobalUse {
  readonly name: string
  /** `Date.now()` or a `new Date()` without arguments. */
  readonly wallClock: boolean
  readonly line: number
}

/** @throws where the source does not parse, naming the file. */
export function scanModule(path: string, source: string): { imports: Import[]; globals: GlobalUse[] } {
  const parsed = parseSync(path, source)
  if (parsed.errors[0]) throw new Error(`${path} does not parse: ${parsed.errors[0].message}`)
  const imports: Import[] = []
  const globals: GlobalUse[] = []
  const lineAt = (offset: number): number => source.slice(0, offset).split('\n').length
  const add = (node: { start: number }, specifier: unknown, typeOnly: boolean): void => {
    if (typeof specifier === 'string') imports.push({ specifier, typeOnly, line: lineAt(node.start) })
  }
  const use = (node: { start: number }, name: string, wallClock = false): void => {
    globals.push({ name, wallClock, line: lineAt(node.start) })
  }
  new Visitor({
    ImportDeclaration: (node) => add(node, node.source.value, node.importKind === 'type'),
    ExportAllDeclaration: (node) => add(node, node.source.value, node.exportKind === 'type'),
    ExportNamedDeclaration: (node) => add(node, node.source?.value, node.exportKind === 'type'),
    TSImportType: (node) => add(node, node.source.value, true),
    ImportExpression: (node) => {
      if (node.source.type === 'Literal') add(node, node.source.value, false)
      // A template without holes is a literal in other quotes: it must not be a way around the arrows.
      if (node.source.type === 'TemplateLiteral' && node.source.expressions.length === 0) {
        add(node, node.source.quasis[0]?.value.cooked, false)
      }
    },
    CallExpression: (node) => {
      const [argument] = node.arguments
      if (node.callee.type !== 'Identifier' || node.callee.name !== 'require') return
      if (argument?.type === 'Literal') add(node, argument.value, false)
    },
    MemberExpression: (node) => {
      if (node.object.type !== 'Identifier') return
      const property = node.property.type === 'Identifier' ? node.property.name : ''
      use(node, node.object.name, node.object.name === 'Date' && property === 'now')
    },
    NewExpression: (node) => {
      if (node.callee.type === 'Identifier') {
        use(node, node.callee.name, node.callee.name === 'Date' && node.arguments.length === 0)
      }
    },
    TSQualifiedName: (node) => {
      if (node.left.type === 'Identifier') use(node, node.left.name)
    },
  }).visit(parsed.program)
  return { imports, globals }
}
