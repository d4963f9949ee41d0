/** What failed, from the reports of the runners: the gate says it once more at its end, where a long log cut to its last lines still has it. */
import { z } from 'zod';

const SHOWN_LINES = 12;
const MESSAGE_BYTES = 2_000;

export const VitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numFailedTestSuites: z.number(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(''),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string(), failureMessages: z.array(z.string()).nullish() })),
    }),
  ),
});

function fault(where: string, message: string): string {
  const lines = message.slice(0, MESSAGE_BYTES).trimEnd().split('\n').slice(0, SHOWN_LINES);
  return [`✗ ${where}`, ...lines.map((line) => `    ${line}`)].join('\n');
}

/** Failed tests, and files that failed without one: those that could not be loaded, or whose hooks failed. */
export function vitestFaults(report: z.infer<typeof VitestReport>, root: string): string[] {
  return report.testResults.flatMap((file) => {
    const path = file.name.startsWith(`${root}/`) ? file.name.slice(root.length + 1) : file.name;
    const bad = file.assertionResults.filter((test) => test.status === 'failed');
    if (bad.length === 0)
      return file.status === 'failed' ? [fault(path, file.message || 'none of its tests failed: a hook did, see its output above')] : [];
    return bad.map((test) => fault(`${path} > ${test.fullName}`, (test.failureMessages ?? []).join('\n')));
  });
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function text(xml: string): string {
  return xml.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal));
  });
}

/** Failed tests of pytest's JUnit report, and what failed around one. */
export function pytestFaults(xml: string): string[] {
  const cases = xml.matchAll(/<testcase classname="([^"]*)" name="([^"]*)"[^>]*>\s*<(?:failure|error) message="([^"]*)"/g);
  return [...cases].map(([, file = '', name = '', message = '']) => fault(text(`${file} > ${name}`), text(message)));
}
