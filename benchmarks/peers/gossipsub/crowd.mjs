// Gossipsub nodes over TCP, Noise and Yamux in one process: links as told, notices at a steady pace.
// Reads what is to be done as JSON from its standard input; prints what it measured as one line of JSON.
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

const TOPIC = 'notices'
const crowd = JSON.parse(readFileSync(0, 'utf8'))
const now = () => performance.now()
const pause = ms => new Promise(resolve => setTimeout(resolve, Math.max(0, ms)))

function sentBytes () {
  const line = readFileSync('/proc/net/dev', 'utf8').split('\n').find(text => text.trim().startsWith('lo:'))
  return Number(line.split(':')[1].trim().split(/\s+/)[8])
}

const open = () => createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionMonitor: { enabled: false },
  connectionManager: { inboundConnectionThreshold: crowd.nodes }, // all come from one address: 5 a second were too few
  services: {
    identify: identify(),
    ping: ping(),
    pubsub: gossipsub({ allowPublishToZeroTopicPeers: true, emitSelf: false, globalSignaturePolicy: 'StrictSign' })
  }
})

const nodes = []
for (let made = 0; made < crowd.nodes; made++) nodes.push(await open())
for (const [one, other] of crowd.links) await nodes[one].dial(nodes[other].getMultiaddrs())

const due = new Map() // a notice that is published late counts from when it should have been
const latencies = []
for (const node of nodes) {
  const seen = new Set()
  node.services.pubsub.addEventListener('message', event => {
    if (event.detail.topic !== TOPIC) return
    const number = Buffer.from(event.detail.data).readUInt32BE(0)
    if (seen.has(number)) return
    seen.add(number)
    latencies.push(now() - due.get(number))
  })
  node.services.pubsub.subscribe(TOPIC)
}

await pause(1000 * crowd.settle_s)
let begun = now()
let before = sentBytes()
await pause(1000 * crowd.idle_s)
const idle = (sentBytes() - before) / ((now() - begun) / 1000)

before = sentBytes()
begun = now()
const cpu = process.cpuUsage()
for (const [number, publisher] of crowd.publishers.entries()) {
  due.set(number, begun + 1000 * number / crowd.per_s)
  await pause(due.get(number) - now())
  const data = randomBytes(crowd.notice_bytes)
  data.writeUInt32BE(number, 0)
  nodes[publisher].services.pubsub.publish(TOPIC, data).catch(error => console.error(String(error)))
}
const published = (now() - begun) / 1000
await pause(1000 * crowd.tail_s)
const spent = process.cpuUsage(cpu)
const measured = JSON.stringify({
  latencies_ms: latencies,
  idle_bytes_per_s: idle,
  bytes: sentBytes() - before - idle * (now() - begun) / 1000,
  links_mean: nodes.reduce((sum, node) => sum + node.getConnections().length, 0) / nodes.length,
  published_s: published,
  cpu_s: (spent.user + spent.system) / 1e6,
  resident_mb: process.memoryUsage().rss / 1e6
})
process.stdout.write(measured + '\n', () => process.exit(0)) // a pipe takes it in pieces
