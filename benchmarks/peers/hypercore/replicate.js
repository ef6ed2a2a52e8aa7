// Two hypercores on loopback: node replicate.js LOGS BLOCKS FOLDER [PORT KEYS]
// A newcomer downloads so many logs of so many notices of 140 characters from a process that holds them, over one
// encrypted connection. The holder's folder is filled in the first run and kept. Prints {"seconds", "messages"}: from
// connect to the last block stored.
const Hypercore = require('hypercore')
const fs = require('fs')
const net = require('net')
const os = require('os')
const path = require('path')
const { fork } = require('child_process')

const [logs, blocks] = process.argv.slice(2, 4).map(Number)
const [folder, port, keys] = process.argv.slice(4)

async function open(home, key) {
  const core = key ? new Hypercore(home, Buffer.from(key, 'hex')) : new Hypercore(home)
  await core.ready()
  return core
}

async function fill(core, number) {
  for (let at = core.length; at < blocks; at += 1000) {
    const text = (n) => `${n} `.padEnd(140, `said by ${number}, `)
    const said = (n) => Buffer.from(JSON.stringify({ type: 'post', text: text(n), timestamp: 1.7e12 + n * 6e4 }))
    await core.append(Array.from({ length: Math.min(1000, blocks - at) }, (_, n) => said(at + n)))
  }
}

function replicate(cores, isInitiator, socket) {
  const stream = Hypercore.createProtocolStream(isInitiator)
  stream.on('error', () => {})
  socket.on('error', () => {})
  for (const core of cores) core.replicate(stream)
  socket.pipe(stream).pipe(socket)
}

async function download() {
  const fresh = fs.mkdtempSync(path.join(os.tmpdir(), 'hypercore-newcomer-'))
  try {
    const cores = await Promise.all(keys.split(',').map((key, n) => open(path.join(fresh, String(n)), key)))
    const begun = process.hrtime.bigint()
    const socket = net.connect(Number(port), '127.0.0.1')
    await new Promise((resolve) => socket.on('connect', resolve))
    replicate(cores, true, socket)
    await Promise.all(
      cores.map(async (core) => {
        await core.update({ wait: true })
        await core.download({ start: 0, end: blocks }).done()
      }),
    )
    const seconds = Number(process.hrtime.bigint() - begun) / 1e9
    if (cores.some((core) => core.contiguousLength < blocks)) throw new Error('not all blocks came')
    console.log(JSON.stringify({ seconds, messages: logs * blocks }))
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true })
  }
}

async function hold() {
  const cores = []
  for (let n = 0; n < logs; n++) {
    cores.push(await open(path.join(folder, String(n))))
    await fill(cores[n], n)
  }
  const server = net.createServer((socket) => replicate(cores, false, socket))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const listed = cores.map((core) => core.key.toString('hex')).join(',')
  const child = fork(__filename, [logs, blocks, folder, server.address().port, listed].map(String))
  const code = await new Promise((resolve) => child.on('exit', resolve))
  process.exit(code)
}

;(port ? download : hold)().then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  },
)
