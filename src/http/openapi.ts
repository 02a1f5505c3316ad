/** The OpenAPI document: generated from the routes, and brought into the form that the standard asks for. */
import { swagger } from '@elysiajs/swagger'
import { type AnyElysia, Elysia } from 'elysia'
import { VERSION } from '../version.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type JsonObject = { [key: string]: Json }

const DOCUMENTATION = {
  info: {
    title: 'Tidings HTTP API',
    version: VERSION,
    description: 'What backends, operators and probes ask of a Tidings server. Every failure has the shape of `Error`.',
    license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
  },
  tags: [
    { name: 'realtime', description: 'Where clients connect.' },
    { name: 'connections', description: 'Who is connected, and the end of it.' },
    { name: 'users', description: 'Whether somebody is there.' },
    { name: 'rooms', description: 'Who is where, and what holds there.' },
    { name: 'publish', description: 'Messages from backends.' },
    { name: 'tokens', description: 'Taking tokens back.' },
    { name: 'maintenance', description: 'Running an instance.' },
    { name: 'status', description: 'How the server is doing.' },
  ],
  components: {
    securitySchemes: {
      admin: {
        type: 'http' as const,
        scheme: 'bearer',
        description: 'A key of `admin.keys`, or a token whose role is `admin.jwt_role`.',
      },
      userToken: { type: 'http' as const, scheme: 'bearer', bearerFormat: 'JWT', description: "A user's token." },
    },
  },
}

/** Describes routes as an OpenAPI 3.0 document. */
export async function describe(routes: AnyElysia): Promise<unknown> {
  const app = new Elysia().use(routes).use(swagger({ documentation: DOCUMENTATION, path: '/swagger' }))
  const response = await app.handle(new Request('http://localhost/swagger/json'))
  return toStandard((await response.json()) as JsonObject)
}

/** What the generator writes is not quite OpenAPI: see each step. */
export function toStandard(document: JsonObject): JsonObject {
  const schemas: JsonObject = {}
  const paths: JsonObject = {}
  for (const [path, item] of entriesOf(document['paths'])) {
    paths[path] = Object.fromEntries(
      entriesOf(item).map(([method, operation]) => [method, toOperation(operation, schemas)]),
    )
  }
  const components = { ...(document['components'] as JsonObject), schemas }
  return { ...document, servers: [{ url: '/' }], paths, components }
}

function toOperation(operation: Json, schemas: JsonObject): JsonObject {
  const { parameters, requestBody, responses, ...rest } = operation as JsonObject
  return {
    ...rest,
    ...(Array.isArray(parameters) && { parameters: parameters.map((parameter) => toParameter(parameter, schemas)) }),
    ...(isObject(requestBody) && {
      requestBody: { required: true, content: toContent(requestBody['content'], undefined, schemas) },
    }),
    responses: Object.fromEntries(
      entriesOf(responses).map(([status, response]) => [status, toResponse(status, response, schemas)]),
    ),
  }
}

/** Without examples: the page fills them in, and whoever tries an operation would filter by what they have not read. */
function toParameter(parameter: Json, schemas: JsonObject): JsonObject {
  const { examples: _, schema, ...rest } = parameter as JsonObject
  return { ...rest, schema: toSchema(schema ?? {}, schemas) }
}

/** The generator spreads a schema over its response; the parts find back together here. */
function toResponse(status: string, response: Json, schemas: JsonObject): JsonObject {
  const { description, content, headers, title } = response as JsonObject
  return {
    description: description ?? DESCRIPTIONS[status] ?? 'Done.',
    ...(headers !== undefined && { headers }),
    ...(isObject(content) && {
      content: toContent(
        content,
        { ...(title !== undefined && { title }), ...(description !== undefined && { description }) },
        schemas,
      ),
    }),
  }
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  400: 'The request is not valid; `details` say where.',
  401: 'The credentials are not good here. Whatever is wrong with them, the answer is the same.',
  403: 'Not allowed, or no credentials where they are needed.',
  404: 'Not there.',
  413: 'Too large.',
  426: 'This address takes WebSocket upgrades.',
  429: 'Too many connections, or too fast.',
  503: 'Not now: come back after `retry_after_ms`.',
}

/** Bodies are JSON alone, unless they say otherwise: the generator lists forms and plain text beside it. */
function toContent(content: Json | undefined, lost: JsonObject | undefined, schemas: JsonObject): JsonObject {
  const media = (content as JsonObject)['application/json'] as JsonObject
  const { contentMediaType = 'application/json', ...schema } = media['schema'] as JsonObject
  return { [String(contentMediaType)]: { schema: toSchema({ ...schema, ...lost }, schemas) } }
}

/**
 * A schema in the dialect of OpenAPI 3.0. One with a title is written once, under that name, and referred to.
 */
function toSchema(schema: Json, schemas: JsonObject): JsonObject {
  const plain = toDialect(schema as JsonObject, schemas)
  const { title } = plain
  if (typeof title !== 'string') return plain
  schemas[title] = plain
  return { $ref: `#/components/schemas/${title}` }
}

function toDialect(schema: JsonObject, schemas: JsonObject): JsonObject {
  const { $id: _, const: literal, anyOf, examples, patternProperties, properties, items, ...rest } = schema
  const inner = (value: Json) => toSchema(value, schemas)
  return {
    ...rest,
    ...firstExample(examples),
    // There is no `const` in 3.0.
    ...(literal !== undefined && { enum: [literal] }),
    ...(Array.isArray(anyOf) && toAlternatives(anyOf as JsonObject[], schemas)),
    ...(isObject(properties) && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, inner(value)])),
    }),
    ...(items !== undefined && { items: inner(items) }),
    // Nor `patternProperties`: a record is an object with further properties of one kind.
    ...(isObject(patternProperties) && { additionalProperties: inner(Object.values(patternProperties)[0] ?? {}) }),
  }
}

/** Formats of text that stands for something else. */
const NUMBERS = new Set(['integer', 'numeric', 'boolean'])

function toAlternatives(anyOf: readonly JsonObject[], schemas: JsonObject): JsonObject {
  const alternatives = anyOf.filter(({ type }) => type !== 'null')
  const nullable = alternatives.length < anyOf.length && { nullable: true }
  // Numbers that may come as text are numbers to those who call.
  const [only, ...others] = alternatives.filter(
    ({ type, format }) => !(type === 'string' && NUMBERS.has(String(format))),
  )
  if (only !== undefined && others.length === 0) return { ...toDialect(only, schemas), ...nullable }
  const literals = alternatives.map(({ const: literal }) => literal)
  if (literals.every((literal) => typeof literal === 'string')) return { type: 'string', enum: literals, ...nullable }
  return { anyOf: alternatives.map((alternative) => toSchema(alternative, schemas)), ...nullable }
}

function firstExample(examples: Json | undefined): JsonObject {
  const [example] = Array.isArray(examples) ? examples : []
  return example === undefined ? {} : { example }
}

function entriesOf(value: Json | undefined): [string, Json][] {
  return isObject(value) ? Object.entries(value) : []
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
