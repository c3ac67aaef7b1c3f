// Reads simulations as JSON lines, prints for each the result of an independent IAM evaluator.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  const result = await runSimulation(JSON.parse(line), {})
  const said = result.resultType === 'error' ? { error: result.errors } : { result: result.overallResult }
  process.stdout.write(`${JSON.stringify(said)}\n`)
}
