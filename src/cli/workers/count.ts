/** Most workers of one supervisor: past one for each core they only wait for each other. */
export const MAX_WORKERS = 256

export function isWorkerCount(text: string): boolean {
  return /^[1-9]\d{0,2}$/.test(text) && Number(text) <= MAX_WORKERS
}
