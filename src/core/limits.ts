/** The configured limits in the core's words. In the configuration 0 switches a count off; here that is infinity. */
import type { Config } from '../config.ts'
import type { FrameLimits } from '../protocol/frame-limits.ts'
import type { AdmissionLimits } from './admission.ts'
import type { RateLimits } from './rate-limit.ts'

export function frameLimits({ limits }: Config): FrameLimits {
  return { maxDepth: unlimited(limits.max_depth), maxKeys: unlimited(limits.max_keys) }
}

export function rateLimits({ limits }: Config): RateLimits {
  return {
    messagesPerSecond: limits.messages_per_second,
    burst: burstOf(limits),
    bytesPerSecond: limits.bytes_per_second,
    maxMessageBytes: limits.max_message_bytes,
  }
}

export function admissionLimits({ limits }: Config): AdmissionLimits {
  return {
    perUser: limits.per_user,
    perUserPolicy: limits.per_user_policy,
    perAddress: limits.per_ip,
    total: limits.total,
    totalCluster: limits.total_cluster,
    connectsPerSecond: limits.connects_per_second,
  }
}

/** What `welcome` tells a client to keep to. */
export function announcedLimits({ limits }: Config): Record<string, number> {
  return {
    max_message_bytes: limits.max_message_bytes,
    messages_per_second: limits.messages_per_second,
    burst: burstOf(limits),
    bytes_per_second: limits.bytes_per_second,
    max_rooms: limits.max_rooms,
  }
}

export function unlimited(limit: number): number {
  return limit === 0 ? Number.POSITIVE_INFINITY : limit
}

/** With no burst of its own: what a second allows. */
function burstOf({ burst, messages_per_second }: Config['limits']): number {
  return burst === 0 ? messages_per_second : burst
}
