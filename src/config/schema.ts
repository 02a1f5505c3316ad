/** Every key of the configuration: its check, what it does, its default and why. The reference is printed from here. */

import { type Static, Type } from 'typebox'
import { isNetwork } from './addresses.ts'
import { access, asKeySchema, choice, duration, flag, integer, list, text } from './keys.ts'
import { LIMITS_SCHEMA } from './limits.ts'
import { ROOM_RULE_SCHEMA } from './rooms.ts'

const strict = { additionalProperties: false }

/** Signature algorithms that may be allowed. `none` and everything else is never accepted. */
const ALGORITHMS = ['HS256', 'HS384', 'HS512', 'RS256', 'ES256', 'EdDSA'] as const

const SERVER = Type.Object(
  {
    host: text({
      description: 'The address to listen on.',
      default: '0.0.0.0',
      development: '127.0.0.1',
      reason: 'A server is there for others; a development server is not.',
    }),
    port: integer({
      description: 'The port to listen on; 0 takes a free one.',
      maximum: 65_535,
      default: 3000,
      reason: 'Needs no rights, and is where people look first.',
    }),
    allowed_origins: list(
      Type.String({
        pattern: '^(?:\\*|[a-z][a-z0-9+.-]*://[^/?#\\s]+)$',
        expected: 'an origin such as https://app.example.com, or *',
      }),
      {
        description:
          'Origins whose pages may connect. Empty: only pages whose host and port equal the `Host` asked for; `*`: all.',
        default: [],
        reason: "A stranger's page must not connect with a visitor's rights.",
      },
    ),
    trusted_proxies: list(
      Type.Refine(Type.String({ expected: 'an IP address or a CIDR such as 10.0.0.0/8' }), isNetwork),
      {
        description: 'Proxies whose `X-Forwarded-For` is believed: addresses or CIDRs.',
        default: [],
        reason: 'Whoever may write that header chooses which address is limited.',
      },
    ),
    compression: flag({
      description: 'Compresses frames to clients that offer it (permessage-deflate).',
      default: false,
      reason: 'Costs memory and time per connection, and small messages gain nothing.',
    }),
  },
  { ...strict, description: 'Where the server listens and whom it believes.' },
)

const AUTH = Type.Object(
  {
    secret: Type.Optional(
      text({
        description: 'Verifies tokens signed with HMAC. At least 32 bytes; `tidings token --new-secret` makes one.',
        secret: true,
        reason: 'In production there is none to guess; in development one is made at every start.',
      }),
    ),
    previous_secrets: list(Type.String({ secret: true }), {
      description: 'Secrets that still verify but never sign, for changing `auth.secret` without a logout.',
      secret: true,
      default: [],
      reason: 'Nothing has been rotated yet.',
    }),
    jwks: Type.Optional(
      text({
        expected: 'the path of a file, or a URL',
        description: 'A JWKS: the path of a file, or a URL. Verifies tokens signed with private keys held elsewhere.',
        reason: 'Only where an identity provider issues the tokens.',
      }),
    ),
    algorithms: list(Type.Enum([...ALGORITHMS]), {
      description: 'Signature algorithms that are accepted.',
      computed: 'HS256 with a secret; RS256, ES256, EdDSA with a JWKS',
      reason: 'Fixed here, never taken from a token: a public key must not become an HMAC secret.',
    }),
    issuer: Type.Optional(
      text({ description: 'The `iss` every token must have.', reason: 'Absent: any, as the key already decides.' }),
    ),
    audience: Type.Optional(
      text({
        description: 'The `aud` every token must have.',
        reason: 'Absent: any. Set it where one key signs for several services.',
      }),
    ),
    require_exp: flag({
      description: 'Refuses tokens without an expiry.',
      default: true,
      reason: 'A token that never ends cannot be lost safely.',
    }),
    clock_tolerance_ms: integer({
      description: 'Milliseconds by which clocks may differ when `exp` and `nbf` are judged.',
      default: 0,
      reason: 'Expired is expired; raise it where the issuer runs on another clock.',
    }),
    expiry_warning_ms: integer({
      description: 'Milliseconds before the end of a token at which the client hears `token_expiring`.',
      default: 60_000,
      reason: 'Time for a refresh over a bad network.',
    }),
    cookie: Type.Optional(
      text({
        description: 'The cookie that may carry the token. It is honoured only together with an allowed `Origin`.',
        pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        expected: 'the name of a cookie',
        reason: 'Absent: cookies prove nothing.',
      }),
    ),
  },
  { ...strict, description: 'How tokens are verified. In production a secret or a JWKS is required.' },
)

const ADMIN = Type.Object(
  {
    keys: list(Type.String({ minLength: 32, secret: true, expected: 'a key of at least 32 characters' }), {
      description: 'API keys of the admin routes, at least 32 characters each.',
      secret: true,
      default: [],
      reason: 'None: the admin routes then answer only to tokens with the admin role.',
    }),
    jwt_role: Type.String({
      description: 'The role that makes a token an admin token. Empty: keys only.',
      default: 'admin',
      reason: 'The word most issuers use.',
    }),
    listen: Type.Optional(
      text({
        description: 'Serves the admin routes on this `HOST:PORT` and no longer on the public one.',
        pattern: '^(?:\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+):\\d{1,5}$',
        expected: 'HOST:PORT such as 127.0.0.1:3001',
        reason: 'Absent: the public listener.',
      }),
    ),
  },
  { ...strict, description: 'Who may use the admin routes.' },
)

const STORE = Type.Object(
  {
    path: text({
      description: 'The database file. `:memory:` keeps nothing beyond the process.',
      default: './data/tidings.db',
      reason: 'A folder of its own, easy to mount as a volume.',
    }),
    durability: choice(['process', 'full'], {
      description:
        '`process`: an acknowledged message survives a crash of the process; `full`: also a loss of power, for an fsync per commit.',
      default: 'process',
      reason: 'A power cut is rare and is reported as a gap; an fsync is paid by every commit.',
    }),
    idempotency_ms: integer({
      description: 'Milliseconds for which the `id` of a frame is remembered, so that a retry is not delivered twice.',
      default: 120_000,
      reason: 'As long as a session can be resumed.',
    }),
  },
  { ...strict, description: 'The embedded store.' },
)

const REDIS = Type.Object(
  {
    url: Type.Optional(
      text({
        description:
          'Connects instances through this Redis: `redis://` or `rediss://` (TLS), or `redis+sentinel://host,host/group` for a primary that sentinels name. Absent: one instance.',
        secret: true,
        pattern: '^rediss?(\\+sentinel)?://\\S+$',
        expected: 'a URL that begins with redis://, rediss://, redis+sentinel:// or rediss+sentinel://',
        reason: 'One process needs none.',
      }),
    ),
    prefix: text({
      description: 'Comes before every key and channel.',
      pattern: '^[A-Za-z0-9_.:-]{1,64}$',
      expected: '1 to 64 characters of A-Z a-z 0-9 _ . : -',
      default: 'tidings',
      reason: 'Others may live in the same Redis.',
    }),
    min_replicas: integer({
      description: 'Replicas that must confirm a message before it is acknowledged.',
      maximum: 16,
      default: 0,
      reason: 'Most installations have none.',
    }),
  },
  { ...strict, description: 'Several instances as one.' },
)

/** The whole configuration. */
export const CONFIG_SCHEMA = Type.Object(
  {
    server: SERVER,
    auth: AUTH,
    admin: ADMIN,
    store: STORE,
    inbox: Type.Object(
      {
        max_messages: integer({
          description: 'Messages kept for a user; 0 keeps none.',
          default: 1000,
          reason: 'A long holiday of a busy user; older ones make room.',
        }),
        max_age: duration({
          description: 'How long a message for a user is kept.',
          default: '7d',
          reason: 'A device that was off for a week starts afresh anyway.',
        }),
      },
      { ...strict, description: 'What waits for users who are not there.' },
    ),
    session: Type.Object(
      {
        resume_ms: integer({
          description: 'Milliseconds for which a session that lost its connection keeps its rooms for a resume.',
          default: 120_000,
          reason: 'A tunnel, a lift, a change of network.',
        }),
      },
      { ...strict, description: 'Sessions between two connections.' },
    ),
    presence: Type.Object(
      {
        grace_ms: integer({
          description: 'Milliseconds that pass before others hear that a user has left.',
          default: 0,
          reason: 'Nobody is shown who is not there; raise it where networks flap.',
        }),
        max_members: integer({
          description: 'Members up to which every coming and going is told at once; above, they are gathered.',
          default: 200,
          reason: 'Telling n members of n arrivals is n squared messages.',
        }),
      },
      { ...strict, description: 'Who is there.' },
    ),
    redis: REDIS,
    cluster: Type.Object(
      {
        sticky_cookie: Type.Optional(
          text({
            description:
              'Answers of handshakes, event streams and polls set a cookie of this name to the instance that has the session, for load balancers that keep a client where it was.',
            pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$",
            expected: "the name of a cookie: 1 to 64 letters, digits or any of ! # $ % & ' * + . ^ _ ` | ~ -",
            reason: 'Any instance takes any request: no client has to be kept anywhere.',
          }),
        ),
      },
      { ...strict, description: 'What several instances have in common.' },
    ),
    limits: LIMITS_SCHEMA,
    heartbeat: Type.Object(
      {
        interval_ms: integer({
          description: 'Milliseconds between two protocol pings to a client.',
          minimum: 1,
          default: 25_000,
          reason: 'Under the 30 s after which the most impatient proxies cut a silent connection.',
        }),
        timeout_ms: integer({
          description: 'Milliseconds without a byte from a client after which it counts as gone.',
          minimum: 1,
          default: 60_000,
          reason: 'Two lost pings and some patience.',
        }),
      },
      { ...strict, description: 'How dead connections are found.' },
    ),
    poll: Type.Object(
      {
        grace_ms: integer({
          description: 'Milliseconds between two polls after which the client counts as gone.',
          minimum: 1,
          default: 30_000,
          reason: 'A slow client comes back within a few seconds.',
        }),
      },
      { ...strict, description: 'Long polling.' },
    ),
    handlers: Type.Object(
      {
        timeout_ms: integer({
          description: 'Milliseconds a handler may take; 0: as long as it likes.',
          default: 10_000,
          reason: 'A client that waits longer has given up.',
        }),
      },
      { ...strict, description: 'Your own handlers.' },
    ),
    drain: Type.Object(
      {
        delay_ms: integer({
          description: 'Milliseconds between failing readiness and telling the first client, for load balancers.',
          default: 0,
          reason: 'One instance has no load balancer to wait for; behind one, use its probe interval.',
        }),
        window_ms: integer({
          description: 'Milliseconds over which connections are closed at a stop.',
          default: 10_000,
          reason: 'All at once would come back all at once.',
        }),
        deadline_ms: integer({
          description: 'Milliseconds after which the process exits, whoever is left.',
          default: 30_000,
          reason: 'What container platforms grant before they kill.',
        }),
      },
      { ...strict, description: 'How a server leaves. It exits as soon as the last connection is gone.' },
    ),
    direct: Type.Object(
      {
        publish: access(['any', 'none'], {
          description: 'Who may send `to` a user.',
          default: 'any',
          reason: 'Chat between users is what most applications want.',
        }),
      },
      { ...strict, description: 'Messages from user to user.' },
    ),
    log: Type.Object(
      {
        level: choice(['debug', 'info', 'warn', 'error'], {
          description: 'The least important lines that are written.',
          default: 'info',
          reason: 'Connects and closes, no single message.',
        }),
        format: choice(['auto', 'json', 'pretty'], {
          description: 'JSON lines, lines for people, or `auto`: for people in a terminal, JSON elsewhere.',
          default: 'auto',
          reason: 'Whoever reads decides.',
        }),
      },
      { ...strict, description: 'Log lines. They go to standard output.' },
    ),
    web: Type.Object(
      {
        start_page: flag({
          description: 'Serves a start page with a live demo at `/`.',
          default: false,
          development: true,
          reason: 'For a first look; a production server has nothing to show there.',
        }),
      },
      { ...strict, description: 'Pages for people.' },
    ),
    rooms: Type.Array(ROOM_RULE_SCHEMA, {
      description: 'Rules for rooms. The first whose `pattern` matches wins; a missing key has its default.',
      default: [],
      reason: 'No rule: everyone may join any room and speak in it.',
    }),
  },
  strict,
)

/** The same, for what reads, prints and explains it. */
export const ROOT = asKeySchema(CONFIG_SCHEMA)

/** The loaded configuration: every default filled in, durations in milliseconds, keys named as in the file. */
export type Config = Static<typeof CONFIG_SCHEMA>
