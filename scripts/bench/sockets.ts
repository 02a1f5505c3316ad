/** What the kernel has received by a process' connections. */

/**
 * Bytes that a process has received from a port of this machine, over its connections that are open now.
 * @throws Error where there are none.
 */
export function bytesReceived(pid: number, port: number): number {
  const { stdout } = Bun.spawnSync([
    'ss',
    '--tcp',
    '--info',
    '--processes',
    '--numeric',
    '--no-header',
    'dport',
    '=',
    `:${port}`,
  ])
  // Two lines for each connection, the second of which is indented.
  const connections = stdout.toString().split(/\n(?!\s)/)
  const own = connections.filter((connection) => connection.includes(`pid=${pid},`))
  if (own.length === 0) throw new Error(`ss shows no connection of process ${pid} to port ${port}`)
  return own.reduce((sum, connection) => sum + Number(/bytes_received:(\d+)/.exec(connection)?.[1] ?? 0), 0)
}
