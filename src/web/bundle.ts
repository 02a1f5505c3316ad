/**
 * A macro: bundles a browser script when the module that asks for it is compiled, so that the binary holds the finished
 * text, and a run from source makes it when it is first asked for. No page needs a build step of its own.
 */
export function bundle(entry: string): string {
  const file = `${import.meta.dir}/${entry}`
  // By a process of its own: the bundler cannot be called from within itself.
  const command = [process.execPath, 'build', file, '--target=browser', '--format=esm', '--minify']
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { env: { ...process.env, NODE_ENV: 'production' } })
  if (exitCode !== 0) throw new Error(`${entry} cannot be bundled: ${stderr.toString()}`)
  return stdout.toString()
}
