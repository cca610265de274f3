// DuckDB on the same events: loads a CSV into a table of its own, then runs the queries of good_sql.sql and same_sql.sql.
//
//   node duckdb.js FILE.csv EXPERIMENT RUNS
//
// Writes lines "load MS", "good MS 0", "same MS 0" with one thread, "good MS 2" and "same MS 2" with three, one for each
// run. Exits with 3 when @duckdb/node-api is not there.
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

const read = (name) => fs.readFileSync(path.join(__dirname, name), 'utf8')
  .replace(/:'experiment'/g, quoted(experiment)).replace(/:table/g, 'events')
  .replace(/hashint8/g, 'hash').replace(/percentile_cont\((.*?)\) WITHIN GROUP \(ORDER BY page_load_ms\)/g, 'quantile_cont(page_load_ms, $1)')
  .replace(/ARRAY\[/g, '[');

async function timed(name, workers, query) {
  const start = process.hrtime.bigint();
  await query();
  console.log(name, Number(process.hrtime.bigint() - start) / 1e6, workers);
}

// its quantiles are constants of the statement: those that follow from the first are asked for by another
async function same(connection, sql) {
  const rows = await (await connection.run(sql)).getRowObjectsJson();
  const bounds = rows.map((r) => `quantile_cont(page_load_ms, [${(0.05 - 2.5 * r.se) / 0.1}, ${(0.05 + 2.5 * r.se) / 0.1}])
    FILTER (WHERE variant = ${quoted(r.variant)} AND page_load_ms > ${r.p[0]})`);
  await (await connection.run(`SELECT ${bounds.join(', ')} FROM events WHERE experiment_id = ${quoted(experiment)}`)).getRows();
}

async function main() {
  const instance = await duckdb.DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const good = read('good_sql.sql');
  const first = read('same_sql.sql').replace(/,\s*bounds AS \([^]*?\)\s*SELECT \* FROM/, ' SELECT * FROM').replace(' JOIN bounds USING (variant)', '');
  await timed('load', 0, () => connection.run(`CREATE TABLE events AS SELECT * FROM read_csv(${quoted(file)}, header = false,
    columns = {experiment_id: 'VARCHAR', user_id: 'BIGINT', variant: 'VARCHAR', occurred_at: 'TIMESTAMPTZ',
               page_load_ms: 'DOUBLE', crashed: 'BOOLEAN', revenue: 'DECIMAL(10,2)'})`));
  for (let i = 0; i < runs; i++) {
    for (const workers of [0, 2]) {
      await connection.run(`SET threads = ${workers + 1}`);
      await timed('good', workers, async () => (await connection.run(good)).getRows());
      await timed('same', workers, () => same(connection, first));
    }
  }
}

main().catch((e) => {
  console.error(e.message);
  process.exit(1);
});
