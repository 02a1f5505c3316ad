/** Every fault, in the order of their numbers. */
import { acrossTransports } from './across-transports.ts'
import { badDisk } from './bad-disk.ts'
import { churn } from './churn.ts'
import { clock } from './clock.ts'
import { acrossInstances } from './cluster/across-instances.ts'
import { concurrentPublishers } from './cluster/concurrent-publishers.ts'
import { evicting } from './cluster/evicting.ts'
import { failover } from './cluster/failover.ts'
import { killedInstance } from './cluster/killed-instance.ts'
import { limitRace } from './cluster/limit-race.ts'
import { lostReplies } from './cluster/lost-replies.ts'
import { manyDevices } from './cluster/many-devices.ts'
import { partition } from './cluster/partition.ts'
import { redisFrozen } from './cluster/redis-frozen.ts'
import { redisKilled } from './cluster/redis-killed.ts'
import { refusing } from './cluster/refusing.ts'
import { revoked } from './cluster/revoked.ts'
import { rollingRestart } from './cluster/rolling-restart.ts'
import { subscribersKilled } from './cluster/subscribers-killed.ts'
import { cutAndResume } from './cut-and-resume.ts'
import { deadPeers } from './dead-peers.ts'
import { descriptors } from './descriptors.ts'
import type { Fault } from './fault.ts'
import { instants } from './instants.ts'
import { joinRace } from './join-race.ts'
import { offlineStore } from './offline-store.ts'
import { orderOnOneConnection } from './order-on-one-connection.ts'
import { slowReaders } from './slow-readers.ts'
import { streams } from './streams.ts'
import { unrecoverable } from './unrecoverable.ts'
import { whoIsThere } from './who-is-there.ts'

const ALL = {
  acrossInstances,
  acrossTransports,
  badDisk,
  churn,
  clock,
  concurrentPublishers,
  cutAndResume,
  deadPeers,
  descriptors,
  evicting,
  failover,
  instants,
  joinRace,
  killedInstance,
  limitRace,
  lostReplies,
  manyDevices,
  offlineStore,
  orderOnOneConnection,
  partition,
  redisFrozen,
  redisKilled,
  refusing,
  revoked,
  rollingRestart,
  slowReaders,
  streams,
  subscribersKilled,
  whoIsThere,
  unrecoverable,
}

export interface NamedFault {
  /** As its file is called. */
  readonly name: string
  readonly fault: Fault<never>
}

export const FAULTS: readonly NamedFault[] = Object.entries(ALL)
  .map(([name, fault]) => ({
    name: name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    fault: fault as never as Fault<never>,
  }))
  .sort((a, b) => a.fault.number - b.fault.number)
