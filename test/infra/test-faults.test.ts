import { describe, expect, it } from 'vitest';
import { pytestFaults, vitestFaults, VitestReport } from '../../infra/test-faults.ts';

const test = (fullName: string, status: string, failureMessages: string[] = []) => ({ fullName, status, failureMessages });

describe('what failed', () => {
  it('of vitest: failed tests, and files that failed without one', () => {
    const report = VitestReport.parse({
      numPassedTests: 2,
      numFailedTests: 1,
      numFailedTestSuites: 3,
      testResults: [
        {
          name: '/repo/test/a.test.ts',
          status: 'failed',
          message: '',
          assertionResults: [test('a is b', 'failed', ['Error: no\n    at x']), test('c', 'passed')],
        },
        { name: '/repo/test/hook.test.ts', status: 'failed', assertionResults: [test('never ran', 'skipped')] },
        { name: '/repo/test/load.test.ts', status: 'failed', message: "Cannot find module './none.ts'", assertionResults: [] },
        { name: '/repo/test/good.test.ts', status: 'passed', message: '', assertionResults: [test('d', 'passed')] },
      ],
    });
    expect(vitestFaults(report, '/repo')).toEqual([
      '✗ test/a.test.ts > a is b\n    Error: no\n        at x',
      '✗ test/hook.test.ts\n    none of its tests failed: a hook did, see its output above',
      "✗ test/load.test.ts\n    Cannot find module './none.ts'",
    ]);
  });

  it('of pytest: failures and errors, with their text as it was written', () => {
    const xml = `<?xml version="1.0"?><testsuites><testsuite errors="1" failures="1" tests="3"><testcase classname="test_x" name="test_a" time="0.001"><failure message="AssertionError: x&#10;assert [1] == [2]">&gt; def</failure></testcase><testcase classname="test_x" name="good" time="0.0" /><testcase classname="test_x" name="test_c[a&lt;b]" time="0.0"><error message="failed on setup with &quot;no &amp;lt;&quot;">@pytest</error></testcase></testsuite></testsuites>`;
    expect(pytestFaults(xml)).toEqual([
      '✗ test_x > test_a\n    AssertionError: x\n    assert [1] == [2]',
      '✗ test_x > test_c[a<b]\n    failed on setup with "no &lt;"',
    ]);
  });
});
