/** Puts a configuration together: defaults, a file, the environment, flags; then asks whether it holds together. */

import { checkTogether } from './checks.ts'
import type { Duration } from './durations.ts'
import { openFilesLimit } from './open-files.ts'
import { ConfigError } from './problems.ts'
import type { RoomRule } from './rooms.ts'
import { type Config, ROOT } from './schema.ts'
import {
  type Environment,
  type Flags,
  fromEnvironment,
  fromFile,
  fromFlags,
  fromTable,
  type Report,
  tableOf,
  type Values,
} from './sources.ts'
import { withDefaults } from './values.ts'

export type Mode = 'development' | 'production'

/** Bytes of a generated secret: half as much again as HS256 needs. */
const SECRET_BYTES = 48
/** Share of the open files that connections may take; the rest is for the store, probes and the admin. */
const CONNECTIONS_SHARE = 0.9

export interface Sources {
  /** Path of a TOML, YAML or JSON file; absent: the one that `TIDINGS_CONFIG` names, if any. */
  readonly file?: string | undefined
  readonly env: Environment
  readonly flags: Flags
  readonly mode: Mode
  /** Allows a configuration without `auth.secret` and `auth.jwks`: for what verifies no token, or in its own way. */
  readonly keysOptional?: boolean
}

export interface Loaded {
  readonly config: Config
  /** Whether `auth.secret` was made just now, so that only this process can sign with it. Development only. */
  readonly secretGenerated: boolean
}

/** Reads every source and throws one `ConfigError` that holds everything that is wrong with any of them. */
export function loadConfig({ file, env, flags, mode, keysOptional = false }: Sources): Loaded {
  return load(mode, keysOptional, (values, report) => {
    if (file !== undefined) fromFile(file, '--config', values, report)
    else if (env.TIDINGS_CONFIG) fromFile(env.TIDINGS_CONFIG, 'TIDINGS_CONFIG', values, report)
    fromEnvironment(env, values, report)
    fromFlags(flags, values, report)
  })
}

/** What a program may give: any part of the configuration, as a file would have it (durations with their unit). */
export type ConfigInput = Partially<Omit<Config, 'rooms'>> & {
  readonly rooms?: readonly (Partially<RoomRule> & { readonly pattern: string })[]
}

type Partially<T> = {
  readonly [Key in keyof T]?: Key extends 'max_age'
    ? Duration
    : T[Key] extends readonly unknown[]
      ? Readonly<T[Key]>
      : T[Key] extends object
        ? Partially<T[Key]>
        : T[Key]
}

/**
 * The configuration of a program that embeds the server: its own values over the defaults; no file, no environment.
 * Throws a `ConfigError` as `loadConfig` does.
 */
export function configFrom(input: ConfigInput, mode: Mode, { keysOptional = false } = {}): Config {
  return load(mode, keysOptional, (values, report) => fromTable(input, '', values, report)).config
}

/** The defaults alone. In development with a fresh secret; in production without one, so that no token is good. */
export function defaultConfig(mode: Mode): Config {
  return configFrom({}, mode, { keysOptional: true })
}

/** A secret for `auth.secret`: random, safe in files, variables and URLs. */
export function newSecret(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(SECRET_BYTES))).toString('base64url')
}

function load(mode: Mode, keysOptional: boolean, read: (values: Values, report: Report) => void): Loaded {
  const problems: string[] = []
  const report: Report = (problem) => void problems.push(problem)
  const values: Values = { tables: {}, origins: new Map(), refused: new Set() }
  read(values, report)

  const development = mode === 'development'
  const secretGenerated = computeDefaults(values, development)
  // Every value was checked when it was read, and a test checks the defaults: to check all of it once more took a tenth
  // of the time from start to listening.
  const config = withDefaults(ROOT.properties ?? {}, values.tables, development) as Config
  checkTogether(config, { development, keysOptional, values }, report)
  if (problems.length > 0) throw new ConfigError(problems)
  return { config, secretGenerated }
}

/** Fills in the defaults that no schema can hold. Returns whether a secret was made. */
function computeDefaults({ tables, refused }: Values, development: boolean): boolean {
  const limits = tableOf(tables, 'limits')
  limits.total ??= Math.floor(openFilesLimit() * CONNECTIONS_SHARE)

  const auth = tableOf(tables, 'auth')
  const keyless = auth.secret === undefined && auth.jwks === undefined
  const secretGenerated = development && keyless && !refused.has('auth.secret') && !refused.has('auth.jwks')
  if (secretGenerated) auth.secret = newSecret()
  auth.algorithms ??= [
    ...(auth.secret === undefined ? [] : ['HS256']),
    ...(auth.jwks === undefined ? [] : ['RS256', 'ES256', 'EdDSA']),
  ]
  return secretGenerated
}
