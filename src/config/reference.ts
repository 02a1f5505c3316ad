/** The reference of the configuration as Markdown, printed from the schema and nothing else. */

import type { KeySchema } from './keys.ts'
import { expected } from './problems.ts'
import { ROOT } from './schema.ts'
import { variableOf } from './sources.ts'

const INTRODUCTION = `# Configuration

Every setting has a default, in production all but one: a key to verify tokens with. Settings come from

1. a file, \`--config FILE\` or \`TIDINGS_CONFIG\`: TOML, YAML or JSON, told apart by its ending;
2. over it the environment, \`TIDINGS_<SECTION>_<KEY>\`; the same name with \`_FILE\` reads the value from a file, as container platforms hand out secrets;
3. over it flags, \`--<section>.<key>=value\`, with \`--port\` for \`--server.port\`.

\`\`\`toml
[server]
port = 8080
allowed_origins = ["https://app.example.com"]

[inbox]
max_age = "30d"

[[rooms]]
pattern = "staff:*"
join = "role:staff"
\`\`\`

In the environment and in flags, lists are separated by commas and \`rooms\` is JSON; an empty variable counts as unset. Keys that end in \`_ms\` or \`_bytes\` are numbers; every other length of time is a text with a unit: \`500ms\`, \`30s\`, \`15m\`, \`1h\`, \`7d\`.

Unknown keys and bad values stop the start, all of them reported at once, each in one line that says where it came from, what was expected and what was found. \`tidings check\` does only that. \`tidings serve --print-config\` shows what all sources together amount to, with secrets masked.

\`TIDINGS_ENV=development\` or \`--dev\` turns on development: some defaults differ, and without \`auth.secret\` one is made at the start. Everything else is production.

This page is the output of \`tidings check --explain\`.
`

/** The whole page; ends with a line break. */
export function configReference(): string {
  const sections = Object.entries(ROOT.properties ?? {}).map(([name, schema]) =>
    schema.properties ? sectionPage(name, schema) : rulesPage(name, schema),
  )
  return `${[INTRODUCTION, ...sections].join('\n').trimEnd()}\n`
}

function sectionPage(name: string, schema: KeySchema): string {
  const keys = Object.entries(schema.properties ?? {}).map(([key, value]) => keyPage(`${name}.${key}`, value))
  return [`## ${name}\n`, `${schema.description}\n`, ...keys].join('\n')
}

function keyPage(path: string, schema: KeySchema): string {
  return [
    `### \`${path}\`\n`,
    `${schema.description}\n`,
    `- Value: ${valueWords(schema)}${schema.secret ? '; never printed' : ''}`,
    `- Default: ${defaultWords(schema)}. ${schema.reason}`,
    `- Variable: \`${variableOf(path)}\`\n`,
  ].join('\n')
}

function rulesPage(name: string, schema: KeySchema): string {
  const rows = ruleRows(schema.items?.properties ?? {}, '')
  return [
    `## ${name}\n`,
    `${schema.description} ${schema.reason}\n`,
    `Variable: \`${variableOf(name)}\`, as JSON.\n`,
    '| key | value | default | what it does, and why that default |',
    '|---|---|---|---|',
    ...rows,
    '',
    'Where `role:NAME` is allowed, NAME is looked for in the token’s `room_roles` for that room, in `role` and in `roles`; the admin role may do everything. A `rooms` claim narrows further: rule and claim must both allow.\n',
  ].join('\n')
}

function ruleRows(properties: Readonly<Record<string, KeySchema>>, prefix: string): string[] {
  return Object.entries(properties).flatMap(([key, schema]) =>
    schema.properties
      ? ruleRows(schema.properties, `${prefix}${key}.`)
      : `| \`${prefix}${key}\` | ${valueWords(schema)} | ${defaultWords(schema)} | ${schema.description} ${schema.reason} |`,
  )
}

/** What may be written, in words, with code where it is to be typed. */
function valueWords(schema: KeySchema): string {
  if (schema.enum) return schema.enum.map(code).join(', ')
  if (schema.type === 'array') return `a list, each item ${valueWords(schema.items ?? {})}`
  return expected(schema)
}

function defaultWords(schema: KeySchema): string {
  if (schema.computed) return schema.computed
  if (schema.default === undefined) return 'none'
  const production = literal(schema.default)
  return schema.development === undefined
    ? production
    : `${production} in production, ${literal(schema.development)} in development`
}

function literal(value: unknown): string {
  if (Array.isArray(value) && value.length === 0) return 'empty'
  return code(typeof value === 'string' ? value : JSON.stringify(value))
}

function code(text: string): string {
  return `\`${text}\``
}
