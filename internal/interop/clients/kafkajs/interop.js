// Drives kafkajs for the interop suite; the suite's doc.go has the command line
// and the exit codes. kafkajs knows gzip; the other codecs are plugged in.
'use strict'

const fs = require('fs')
const assert = require('assert/strict')
const {
  Kafka, CompressionTypes, CompressionCodecs, Partitioners, logLevel, ConfigResourceTypes, AclResourceTypes,
  AclOperationTypes, AclPermissionTypes, ResourcePatternTypes,
} = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4js')
const zstd = require('@bokuweb/zstd-wasm')

const CANNOT = 3
const LARGE = 10000000
const TIME_BASE = 1700000000000
const PARTITIONS = 4

CompressionCodecs[CompressionTypes.Snappy] = snappy
// lz4js writes frames whose blocks may refer to those before, which Kafka refuses
// (KIP-57). A batch here is one block: the frame says that blocks are independent,
// and has the header's check sum that goes with it.
const LZ4_FLAGS = 4
const LZ4_HEADER_SUM = 6
const independent = frame => {
  frame[LZ4_FLAGS] = 0x60
  frame[LZ4_HEADER_SUM] = 0x73
  return frame
}
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => independent(Buffer.from(lz4.compress(encoder.buffer))),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer)),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
})
const codecTypes = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

const name = process.argv[2]
const args = {}
for (let i = 3; i + 1 < process.argv.length; i += 2) args[process.argv[i].slice(2)] = process.argv[i + 1]
const topic = args.topic

const ssl = args.ca ? { ca: [fs.readFileSync(args.ca, 'utf-8')] } : undefined
const sasl = args.mechanism ? { mechanism: args.mechanism.toLowerCase(), username: args.user, password: args.password } : undefined
const kafka = new Kafka({ clientId: 'interop', brokers: [args.bootstrap], logLevel: logLevel.NOTHING, ssl, sasl })

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

async function until(what, done) {
  while (!done()) await pause(50)
}

async function withProducer(options, body) {
  const p = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options })
  await p.connect()
  try {
    return await body(p)
  } finally {
    await p.disconnect()
  }
}

async function withAdmin(body) {
  const a = kafka.admin()
  await a.connect()
  try {
    return await body(a)
  } finally {
    await a.disconnect()
  }
}

const message = (prefix, i, partition = 0) => ({ partition, key: `k${i}`, value: `${prefix}${i}` })
const numbers = n => [...Array(n).keys()]

function produce(messages, send = {}, options = {}) {
  return withProducer(options, p => p.send({ topic, messages, ...send }))
}

// member starts a consumer whose messages and partitions are kept.
async function member(groupId, from, options = {}) {
  const m = { seen: [], partitions: [], joins: 0, consumer: kafka.consumer({ groupId, heartbeatInterval: 500, sessionTimeout: 10000, ...options }) }
  m.consumer.on(m.consumer.events.GROUP_JOIN, e => {
    m.partitions = (e.payload.memberAssignment[from] || []).slice().sort()
    m.joins++
  })
  await m.consumer.connect()
  await m.consumer.subscribe({ topic: from, fromBeginning: true })
  await m.consumer.run({ eachMessage: async ({ partition, message }) => { m.seen.push({ partition, ...message }) } })
  return m
}

// read returns the first n messages of a topic, from the beginning.
async function read(n, from = topic, options = {}) {
  const m = await member(`${topic}-reader-${process.pid}-${Math.floor(performance.now())}`, from, { maxWaitTimeInMs: 200, ...options })
  await until('read', () => m.seen.length >= n)
  await m.consumer.disconnect()
  return m.seen
}

const text = b => (b === null || b === undefined ? null : b.toString())

async function transact(p, prefix, commit) {
  const t = await p.transaction()
  for (const i of numbers(5)) await t.send({ topic, messages: [message(prefix, i)] })
  await (commit ? t.commit() : t.abort())
}

const transactional = { transactionalId: topic, maxInFlightRequests: 1, idempotent: true }

const scenarios = {
  async codecs() {
    await zstd.init()
    for (const codec of args.codecs.split(',')) {
      const to = `${topic}.${codec}`
      for (const [partition, acks] of [0, 1, -1].entries()) {
        const messages = numbers(20).map(i => message('x'.repeat(500), i, partition))
        await produce(messages, { topic: to, acks, compression: codecTypes[codec] })
      }
      await read(60, to)
    }
  },

  async partitioner() {
    const keys = fs.readFileSync(args.keys, 'utf-8').trim().split('\n')
    await produce(keys.map(key => ({ key, value: 'v' })))
  },

  async values() {
    const rows = [[null, 'null key'], ['', 'empty key'], ['tombstone', null], ['empty value', ''], ['headers', 'h'], ['ü€😀', 'ü€😀']]
    const messages = rows.map(([key, value]) => ({ key, value, partition: 0 }))
    messages[4].headers = { a: ['1', '2'], empty: '', bin: Buffer.from([0, 255]) }
    console.log('without null-header')
    await produce(messages)
    const got = await read(rows.length)
    assert.deepEqual(got.map(m => [text(m.key), text(m.value)]), rows)
    assert.deepEqual(got[4].headers.a.map(text), ['1', '2'])
  },

  async 'seek-time'() {
    await produce(numbers(10).map(i => ({ ...message('v', i), timestamp: String(TIME_BASE + i * 1000) })))
    await withAdmin(async a => {
      for (const [at, offset] of [[-1, '0'], [4500, '5'], [5000, '5'], [60000, '10']]) {
        const found = await a.fetchTopicOffsetsByTimestamp(topic, TIME_BASE + at)
        assert.equal(found[0].offset, offset, `offset at ${at}`)
      }
    })
  },

  async large() {
    const value = '0123456789'.repeat(LARGE / 10)
    await produce([{ partition: 0, value }])
    const got = await read(1, topic, { maxBytesPerPartition: LARGE * 2, maxBytes: LARGE * 2 })
    assert.ok(got[0].value.toString() === value, 'the value came back changed')
  },

  async compacted() {
    const m = await member(topic, topic)
    await until('the end', () => m.seen.some(x => x.offset === String(Number(args.until) - 1)))
    assert.equal(m.seen.length, Number(args.expect))
    await m.consumer.disconnect()
  },

  async idempotent() {
    await withProducer({ idempotent: true, maxInFlightRequests: 1 }, async p => {
      for (const round of numbers(10)) {
        await p.send({ topic, messages: numbers(10).map(i => message('v', round * 10 + i)) })
      }
    })
  },

  async simple() {
    await produce(numbers(10).map(i => message('v', i)))
    await read(10)
  },

  async refused() {
    const a = new Kafka({ brokers: [args.bootstrap], logLevel: logLevel.NOTHING, ssl, sasl, retry: { retries: 0 } }).admin()
    await assert.rejects(a.connect(), e => /SASL|authentication/i.test(`${e.name} ${e.message}`))
  },

  async group() {
    const feed = (first, n) => produce(numbers(n).map(i => message('v', first + i, i % PARTITIONS)))
    const values = (...members) => new Set(members.flatMap(m => m.seen.map(x => text(x.value)))).size
    await feed(0, 40)
    const a = await member(topic, topic)
    await until('first', () => a.partitions.length === PARTITIONS && values(a) === 40)
    const b = await member(topic, topic)
    await until('two', () => a.partitions.length === 2 && b.partitions.length === 2)
    await feed(40, 40)
    await until('both', () => values(a, b) === 80)
    await b.consumer.disconnect()
    await until('one again', () => a.partitions.length === PARTITIONS)
    await feed(80, 20)
    await until('last', () => values(a, b) === 100)
    await a.consumer.disconnect()
  },

  async txn() {
    await withProducer(transactional, async p => {
      await transact(p, 'c', true)
      await transact(p, 'a', false)
      await transact(p, 'd', true)
    })
    assert.equal((await read(10)).length, 10) // read_committed is kafkajs' default
    assert.equal((await read(15, topic, { readUncommitted: true })).length, 15)
  },

  async 'txn-offsets'() {
    const source = `${topic}.in`
    await produce(numbers(10).map(i => message('v', i)), { topic: source })
    for (const commit of [false, true]) {
      await withProducer(transactional, async p => {
        const t = await p.transaction()
        for (const m of await read(10, source)) await t.send({ topic: `${topic}.out`, messages: [{ value: `out-${m.value}` }] })
        await t.sendOffsets({ consumerGroupId: topic, topics: [{ topic: source, partitions: [{ partition: 0, offset: '10' }] }] })
        await (commit ? t.commit() : t.abort())
      })
      await withAdmin(async a => {
        const [{ partitions }] = await a.fetchOffsets({ groupId: topic, topics: [source] })
        assert.equal(partitions[0].offset, commit ? '10' : '-1')
      })
    }
    assert.equal((await read(10, `${topic}.out`)).length, 10)
  },

  async 'txn-fence'() {
    await withProducer({ ...transactional, retry: { retries: 1 } }, async zombie => {
      const t = await zombie.transaction()
      await t.send({ topic, messages: [message('zombie', 0)] })
      await withProducer(transactional, p => transact(p, 'new', true))
      const fenced = e => /epoch|fenced|newer producer/i.test(`${e.type} ${e.message}`)
      await assert.rejects(t.send({ topic, messages: [message('zombie', 1)] }).then(() => t.commit()), fenced)
    })
    assert.deepEqual((await read(5)).map(m => text(m.value)), ['new0', 'new1', 'new2', 'new3', 'new4'])
  },

  'admin-topics': () => withAdmin(async a => {
    const t = { topic, numPartitions: 2, replicationFactor: 1, configEntries: [{ name: 'retention.ms', value: '3600000' }] }
    assert.equal(await a.createTopics({ topics: [t] }), true)
    assert.equal(await a.createTopics({ topics: [t] }), false)
    await a.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }] })
    const configs = await a.describeConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }] })
    const value = n => configs.resources[0].configEntries.find(e => e.configName === n).configValue
    assert.equal(value('cleanup.policy'), 'compact')
    assert.notEqual(value('retention.ms'), '3600000') // AlterConfigs replaces all
    await a.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    await a.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [] }] })
    await produce(numbers(9).map(i => message('v', i, i % 3)))
    await a.fetchTopicOffsets(topic) // deleteTopicRecords looks for leaders in what is cached
    await a.deleteTopicRecords({ topic, partitions: [{ partition: 2, offset: '2' }] })
    const offsets = await a.fetchTopicOffsets(topic)
    assert.deepEqual(offsets.map(o => [o.partition, o.low, o.high]).sort(), [[0, '0', '3'], [1, '0', '3'], [2, '2', '3']])
    await a.deleteTopics({ topics: [topic] })
    assert.ok(!(await a.listTopics()).includes(topic))
  }),

  'admin-groups': () => withAdmin(async a => {
    await produce([message('v', 0), message('v', 1, 1)])
    const m = await member(topic, topic)
    await until('consume', () => m.seen.length === 2)
    const { groups: [g] } = await a.describeGroups([topic])
    assert.equal(g.state, 'Stable')
    assert.equal(g.members.length, 1)
    await assert.rejects(a.deleteGroups([topic]), e => e.groups[0].error.type === 'NON_EMPTY_GROUP')
    await m.consumer.disconnect()
    assert.ok((await a.listGroups()).groups.some(x => x.groupId === topic))
    await a.setOffsets({ groupId: topic, topic, partitions: [{ partition: 0, offset: '0' }] })
    const [{ partitions }] = await a.fetchOffsets({ groupId: topic, topics: [topic] })
    assert.equal(partitions.find(p => p.partition === 0).offset, '0')
    await a.deleteGroups([topic])
  }),

  'admin-cluster': () => withAdmin(async a => {
    const c = await a.describeCluster()
    assert.equal(c.brokers.length, 1)
    assert.ok(c.clusterId)
  }),

  'admin-acls': () => withAdmin(async a => {
    const acl = {
      resourceType: AclResourceTypes.TOPIC, resourceName: topic, resourcePatternType: ResourcePatternTypes.PREFIXED, principal: 'User:alice',
      host: '*', operation: AclOperationTypes.READ, permissionType: AclPermissionTypes.ALLOW,
    }
    await a.createAcls({ acl: [acl] })
    const { resources } = await a.describeAcls(acl)
    assert.equal(resources[0].acls.length, 1)
    const { filterResponses } = await a.deleteAcls({ filters: [acl] })
    assert.equal(filterResponses[0].matchingAcls.length, 1)
  }),

  many: () => withAdmin(async a => {
    const names = numbers(50).map(i => `${topic}.${i}`)
    await a.createTopics({ topics: names.map(n => ({ topic: n, numPartitions: 100 })), timeout: 60000 })
    const { topics } = await a.fetchTopicMetadata({ topics: names })
    assert.equal(topics.reduce((n, t) => n + t.partitions.length, 0), 5000)
    // Kafka publishes so many leaders after it has answered: they are waited for,
    // since a producer that sends again sends what was taken again, too.
    const leads = n => a.fetchTopicOffsets(n).then(() => true, () => false)
    for (const n of names) while (!await leads(n)) await pause(100)
    await withProducer({}, p => p.sendBatch({ topicMessages: names.map(n => ({ topic: n, messages: numbers(100).map(i => message('v', i, i)) })) }))
    let records = 0
    for (const n of names) for (const o of await a.fetchTopicOffsets(n)) records += Number(o.high)
    assert.equal(records, 5000)
    await a.deleteTopics({ topics: names, timeout: 60000 })
  }),
}

if (!scenarios[name]) {
  console.error('has no such scenario')
  process.exit(CANNOT)
}
scenarios[name]().then(() => process.exit(0), e => {
  console.error(String(e && e.message).replaceAll('\n', ' '))
  process.exit(1)
})
