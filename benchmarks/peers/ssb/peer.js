// One ssb-db2 + ssb-ebt peer in a process of its own, told what to do over IPC by replicate.js and day.js.
const { promisify } = require('util')
const ssbKeys = require('ssb-keys')

const [folder, port] = process.argv.slice(2)
const own = ssbKeys.loadOrCreateSync(`${folder}/secret`)
const peer = require('secret-stack')({ caps: require('ssb-caps') })
  .use(require('ssb-db2'))
  .use(require('ssb-db2/compat/ebt'))
  .use(require('ssb-ebt'))
  .call(null, {
    path: folder,
    keys: own,
    timeout: 60_000,
    timers: { inactivity: 600_000 },
    connections: {
      incoming: { net: [{ scope: 'device', transform: 'shs', port: Number(port), host: '127.0.0.1' }] },
      outgoing: { net: [{ transform: 'shs' }] },
    },
  })

const seed = (author) => Buffer.alloc(32, 0).fill(`author ${author}`, 0, 16)
const author = (number) => ssbKeys.generate('ed25519', seed(number))
const drained = () => new Promise((resolve) => peer.db.onDrain(() => resolve()))

const tasks = {
  // Each author writes notices of 140 characters.
  async fill({ authors, notices }) {
    const create = promisify(peer.db.create)
    for (let a = 0; a < authors; a++) {
      const keys = author(a)
      for (let n = 1; n <= notices; n++) {
        await create({ keys, content: { type: 'post', text: `${n} `.padEnd(140, `said by ${a}, `) } })
      }
    }
    await drained()
    return {}
  },
  // Offer these authors' feeds to who connects.
  async serve({ authors }) {
    for (let a = 0; a < authors; a++) peer.ebt.request(author(a).id, true)
    return { address: peer.getAddress('device') }
  },
  // Connect, and resolve once so many messages were added.
  pull({ authors, total, address }) {
    for (let a = 0; a < authors; a++) peer.ebt.request(author(a).id, true)
    return new Promise((resolve, reject) => {
      let added = 0
      const begun = process.hrtime.bigint()
      peer.db.onMsgAdded(() => {
        if (++added === total) resolve({ seconds: Number(process.hrtime.bigint() - begun) / 1e9 })
      })
      peer.connect(address, (error) => error && reject(error))
    })
  },
  // Connect, without waiting for what comes of it.
  async meet({ authors, address }) {
    for (let a = 0; a < authors; a++) peer.ebt.request(author(a).id, true)
    await promisify(peer.connect)(address)
    return {}
  },
  // These authors write one more notice each.
  async say({ by, text }) {
    const create = promisify(peer.db.create)
    for (const a of by) await create({ keys: author(a), content: { type: 'post', text: text.padEnd(140, ` as ${a} writes,`) } })
    return {}
  },
  // Resolve once so many more messages were added; the one added last is told at once, and does not count.
  hear({ messages }) {
    return new Promise((resolve) => {
      let left = messages
      let listens = false
      const stop = peer.db.onMsgAdded(() => {
        if (!listens) return
        if (--left > 0) return
        stop()
        resolve({})
      })
      listens = true
    })
  },
  async quit() {
    setImmediate(() => process.exit(0))
    return {}
  },
}

process.on('message', ({ task, ...about }) => {
  tasks[task](about).then(
    (done) => process.send({ done }),
    (error) => process.send({ failed: String(error && error.stack) }),
  )
})
process.on('disconnect', () => process.exit(0)) // nobody is left to ask
process.send({ done: {} })
