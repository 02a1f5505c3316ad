/** The cluster's compose file, as far as it can be judged without a container engine. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { ROOT } from '../cli/process.ts'
import { problemsOf } from '../config/support.ts'

interface Service {
  readonly image: string
  readonly build?: string
  readonly command?: readonly string[]
  readonly volumes: readonly string[]
  readonly environment?: Readonly<Record<string, string | null>>
  readonly ports?: readonly string[]
  readonly networks?: { readonly default: { readonly ipv4_address: string } }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly stop_grace_period?: string
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}

const FOLDER = `${ROOT}examples/cluster`
const INSTANCES = ['tidings-1', 'tidings-2', 'tidings-3']
const { services, volumes } = Bun.YAML.parse(readFileSync(`${FOLDER}/compose.yaml`, 'utf8')) as Compose

function service(name: string): Service {
  const found = services[name]
  if (found === undefined) throw new Error(`there is no service ${name}`)
  return found
}

/** What stands in a value without an environment: the default of each variable. */
function withDefaults(text: string): string {
  return text.replace(/\$\{\w+(?::[-?]([^}]*))?\}/g, '$1')
}

test('it has the three instances, Redis and both load balancers, and every file and volume that they mount', () => {
  expect(Object.keys(services).sort()).toEqual(['haproxy', 'nginx', 'redis', ...INSTANCES])
  for (const mount of Object.values(services).flatMap((one) => one.volumes)) {
    const [source = ''] = mount.split(':')
    if (source.startsWith('./')) expect(existsSync(`${FOLDER}/${source}`)).toBe(true)
    else expect(volumes).toHaveProperty(source)
  }
})

test('the instances are built from the Dockerfile, take their settings, and get the time to send clients away', () => {
  for (const name of INSTANCES) {
    const { build, command, environment = {}, stop_grace_period } = service(name)
    expect(existsSync(`${FOLDER}/${build}/Dockerfile`)).toBe(true)
    expect(command).toEqual(['serve', '--config', '/etc/tidings.toml'])
    const env = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, withDefaults(value ?? '')]))
    expect(problemsOf({ file: `${FOLDER}/tidings.toml`, env })).toEqual([])
    expect(stop_grace_period).toBe('40s')
  }
})

test('the load balancers are where the instances believe them, lead to all instances, and wait until those are ready', () => {
  const trusted = service('tidings-1').environment?.['TIDINGS_SERVER_TRUSTED_PROXIES']
  const balancers = ['nginx', 'haproxy'].map(service)
  expect(balancers.map(({ networks }) => networks?.default.ipv4_address).join()).toBe(String(trusted))
  for (const { environment, depends_on, ports } of balancers) {
    expect(environment).toMatchObject({
      INSTANCE_1: 'tidings-1:3000',
      INSTANCE_2: 'tidings-2:3000',
      INSTANCE_3: 'tidings-3:3000',
    })
    expect(depends_on).toEqual(Object.fromEntries(INSTANCES.map((name) => [name, { condition: 'service_healthy' }])))
    expect(ports?.every((port) => port.startsWith('127.0.0.1:'))).toBe(true)
  }
})

test('every name that the configurations of the load balancers leave open is filled in', () => {
  for (const [name, file] of [
    ['nginx', 'tidings.conf.template'],
    ['haproxy', 'haproxy.cfg'],
  ] as const) {
    const text = readFileSync(`${FOLDER}/${file}`, 'utf8').replace(/^\s*#.*$/gm, '')
    const open = [...text.matchAll(/\$\{(\w+)\}/g)].map(([, variable]) => variable as string)
    expect(open.length).toBeGreaterThan(3)
    for (const variable of open) expect(service(name).environment).toHaveProperty(variable)
  }
})
