// Two ssb-db2 + ssb-ebt peers on loopback: node replicate.js AUTHORS NOTICES FOLDER
// A newcomer fetches the feeds of so many authors from one that holds them all. The holder's folder is filled in the
// first run and kept for the next. Prints {"seconds", "messages"}: from connect to the last message added.
const { fork } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')

const [authors, notices] = process.argv.slice(2, 4).map(Number)
const folder = process.argv[4]

function start(home, port) {
  const child = fork(path.join(__dirname, 'peer.js'), [home, String(port)])
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

async function main() {
  const isFilled = fs.existsSync(path.join(folder, 'filled'))
  const port = 20_000 + (process.pid % 20_000)
  fs.mkdirSync(folder, { recursive: true })
  const fresh = fs.mkdtempSync(path.join(os.tmpdir(), 'ssb-newcomer-'))
  const [holder, newcomer] = [start(folder, port), start(fresh, port + 1)]
  try {
    if (!isFilled) {
      await holder.ask('fill', { authors, notices })
      fs.writeFileSync(path.join(folder, 'filled'), '')
    }
    const { address } = await holder.ask('serve', { authors })
    const total = authors * notices
    const { seconds } = await newcomer.ask('pull', { authors, total, address })
    console.log(JSON.stringify({ seconds, messages: total }))
    await Promise.all([holder.ask('quit'), newcomer.ask('quit')])
  } finally {
    holder.kill()
    newcomer.kill()
    fs.rmSync(fresh, { recursive: true, force: true })
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  },
)
