// DuckDB on the same events: loads a CSV into a table of its own, then runs the query of good_sql.sql.
//
//   node duckdb.js FILE.csv EXPERIMENT RUNS
//
// Writes lines "load MS", "serial MS" and "parallel MS", one for each run. Exits with 3 when @duckdb/node-api is not
// there.
const fs = require('fs');
const path = require('path');

let duckdb;
try {
  duckdb = require('@duckdb/node-api');
} catch (e) {
  process.exit(3);
}

const [file, experiment, runs] = process.argv.slice(2);
const quoted = (text) => `'${text.replace(/'/g, "''")}'`;

async function timed(name, connection, sql) {
  const start = process.hrtime.bigint();
  await (await connection.run(sql)).getRows();
  console.log(name, Number(process.hrtime.bigint() - start) / 1e6);
}

async function main() {
  const instance = await duckdb.DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const sql = fs.readFileSync(path.join(__dirname, 'good_sql.sql'), 'utf8')
    .replace(/:'experiment'/g, quoted(experiment)).replace(/:table/g, 'events').replace('percentile_cont(0.95) WITHIN GROUP (ORDER BY page_load_ms)', 'quantile_cont(page_load_ms, 0.95)');
  await timed('load', connection, `CREATE TABLE events AS SELECT * FROM read_csv(${quoted(file)}, header = false,
    columns = {experiment_id: 'VARCHAR', user_id: 'BIGINT', variant: 'VARCHAR', occurred_at: 'TIMESTAMPTZ',
               page_load_ms: 'DOUBLE', crashed: 'BOOLEAN', revenue: 'DECIMAL(10,2)'})`);
  for (let i = 0; i < runs; i++) {
    await connection.run('SET threads = 1');
    await timed('serial', connection, sql);
    await connection.run('SET threads = 3');
    await timed('parallel', connection, sql);
  }
}

main().catch((e) => {
  console.error(e.message);
  process.exit(1);
});
