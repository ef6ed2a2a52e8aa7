// Look-ups of values in a network of hyperdht nodes on loopback, whole and with half of it destroyed; prints one line
// of JSON. node lookups.cjs NODES LOOKUPS_PER_SECOND
const createTestnet = require('hyperdht/testnet')
const crypto = require('crypto')

const [nodeCount, perSecond] = process.argv.slice(2).map(Number)
const LIMIT_MS = 30000
// A destroyed node's own requests may reject after it is gone: that is nobody's answer.
process.on('unhandledRejection', () => {})
process.on('uncaughtException', () => {})

const pause = ms => new Promise(resolve => setTimeout(resolve, Math.max(0, ms)))
const pick = list => list[crypto.randomInt(list.length)]
const within = promise => Promise.race([promise, pause(LIMIT_MS).then(() => null)])

function shuffled (list) {
  const left = [...list]
  const mixed = []
  while (left.length) mixed.push(left.splice(crypto.randomInt(left.length), 1)[0])
  return mixed
}

// Milliseconds that the look-up took; null without the value.
async function lookUp (node, key) {
  const asked = performance.now()
  const found = await within(node.immutableGet(key).catch(() => null))
  return found && found.value ? performance.now() - asked : null
}

async function main () {
  const network = await createTestnet(nodeCount)
  const keys = []
  for (let made = 0; made < nodeCount; made++) {
    keys.push((await pick(network.nodes).immutablePut(crypto.randomBytes(300))).hash)
  }
  const healthy = []
  for (const [index, node] of network.nodes.entries()) healthy.push(await lookUp(node, keys[index]))
  const [first, ...others] = network.nodes // the one that all others began with lives on
  const mixed = shuffled(others)
  const dying = mixed.slice(0, Math.floor(nodeCount / 2))
  await Promise.all(dying.map(node => node.destroy({ force: true }).catch(() => {})))
  const living = [first, ...mixed.slice(dying.length)]
  const begun = performance.now()
  const half = await Promise.all(living.map(async (node, index) => {
    await pause(begun + 1000 * index / perSecond - performance.now())
    return lookUp(node, keys[index])
  }))
  const measured = JSON.stringify({ healthy, half_dead: half })
  process.stdout.write(measured + '\n', () => process.exit(0)) // a pipe takes it in pieces
}

main()
