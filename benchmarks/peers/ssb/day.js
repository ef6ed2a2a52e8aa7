// Bytes between two ssb-db2 + ssb-ebt peers on loopback, over a socket that counts: node day.js AUTHORS NOTICES
// One follows as many authors as the other holds. After a first sync each author writes once, as yesterday. Then the day
// is counted: the follower comes back, and so many notices are written by the authors in turn, 100 at a time: each flush of
// the log takes 250 ms. Prints {"first", "reconnect", "notices", "idle", "second_reconnect"}: bytes both ways; `idle` of 5 s.
const { fork } = require('child_process')
const fs = require('fs')
const net = require('net')
const os = require('os')
const path = require('path')

const [authors, notices] = process.argv.slice(2, 4).map(Number)
const together = 100
const port = 20_000 + (process.pid % 20_000)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function start(home, at) {
  const child = fork(path.join(__dirname, 'peer.js'), [home, String(at)])
  const answer = () =>
    new Promise((resolve, reject) => {
      child.once('message', ({ done, failed }) => (failed ? reject(new Error(failed)) : resolve(done)))
    })
  const ready = answer()
  const ask = async (task, about = {}) => {
    await ready
    child.send({ task, ...about })
    return answer()
  }
  return { ask, kill: () => child.kill('SIGKILL') }
}

let bytes = 0
function count(from, to) {
  from.on('data', (data) => {
    bytes += data.length
    to.write(data)
  })
  from.on('end', () => to.end())
  from.on('error', () => to.destroy())
}
const forwarder = net.createServer((near) => {
  const far = net.connect(port, '127.0.0.1')
  near.setNoDelay(true)
  far.setNoDelay(true)
  count(near, far)
  count(far, near)
})

async function quiet() {
  for (let before = -1; before !== bytes; ) {
    before = bytes
    await sleep(1_500)
  }
}

let last = 0
async function since(what) {
  await what()
  const counted = bytes - last
  last = bytes
  return counted
}

async function main() {
  const homes = ['holder', 'follower'].map((name) => fs.mkdtempSync(path.join(os.tmpdir(), `ssb-${name}-`)))
  await new Promise((resolve) => forwarder.listen(port + 1, '127.0.0.1', resolve))
  const holder = start(homes[0], port)
  let follower = start(homes[1], port + 2)
  try {
    await holder.ask('fill', { authors, notices: 1 })
    const { address } = await holder.ask('serve', { authors })
    const counted = address.replace(`:${port}~`, `:${port + 1}~`)
    const say = async (count) => {
      for (let n = 0; n < count; n += together) {
        const by = Array.from({ length: Math.min(together, count - n) }, (_, more) => (n + more) % authors)
        const heard = follower.ask('hear', { messages: by.length })
        await holder.ask('say', { by, text: `${n}` })
        await heard
      }
      await quiet()
    }
    const comeBack = async () => {
      await follower.ask('quit')
      await quiet()
      follower = start(homes[1], port + 2)
      last = bytes
      await follower.ask('meet', { authors, address: counted })
      await quiet()
    }
    const first = await since(async () => {
      await follower.ask('pull', { authors, total: authors, address: counted })
      await quiet()
    })
    await since(() => say(authors))
    const reconnect = await since(comeBack)
    const live = await since(() => say(notices))
    const idle = await since(() => sleep(5_000))
    await since(comeBack)
    const second = await since(comeBack)
    console.log(JSON.stringify({ first, reconnect, notices: live, idle, second_reconnect: second }))
    await Promise.all([holder.ask('quit'), follower.ask('quit')])
  } finally {
    holder.kill()
    follower.kill()
    forwarder.close()
    for (const home of homes) fs.rmSync(home, { recursive: true, force: true })
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  },
)
