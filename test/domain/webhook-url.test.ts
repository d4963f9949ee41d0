/** Where webhooks may go, and which events they want. */
import { describe, expect, it } from 'vitest';
import { matchesPattern, uselessPatterns } from '../../functions/domain/event-patterns.ts';
import { webhookUrlFault } from '../../functions/domain/webhook-url.ts';

const strict = (url: string) => webhookUrlFault(url, { allowLoopback: false });

describe('webhook URLs', () => {
  it.each([
    'https://hooks.example.com/a?b=c',
    'https://example.com:8443/x',
    'https://8.8.8.8/x',
    'https://[2606:4700::1111]/x',
    'https://bücher.de/',
  ])('allows %s', (url) => expect(strict(url)).toBeNull());
  it.each([
    'http://example.com/',
    'ftp://example.com/',
    'https://user:pw@example.com/',
    'https://user@example.com/',
    'https://example.com:22/',
    'https://example.com:6379/',
    'https://localhost/',
    'https://LOCALHOST./',
    'https://a.localhost/',
    'https://printer.local/',
    'https://printer.local./',
    'https://metadata.google.internal/',
    'https://intranet/',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f.0.0.1/',
    'https://0177.0.0.1/',
    'https://0.0.0.0/',
    'https://10.1.2.3/',
    'https://100.64.0.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://168.63.129.16/',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://198.19.0.1/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    'https://[::1]/',
    'https://[::]/',
    'https://[fd00::1]/',
    'https://[fe80::1]/',
    'https://[ff02::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:8.8.8.8]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://[2001:db8::1]/',
    'not a url',
    'javascript:alert(1)',
  ])('refuses %s and says why', (url) => expect(strict(url)).toMatch(/^(names|must|is) /));
  it('allows loopback in development and nothing else that is private', () => {
    const dev = (url: string) => webhookUrlFault(url, { allowLoopback: true });
    for (const url of ['http://127.0.0.1:8080/x', 'http://localhost:1234/', 'http://[::1]:99/', 'https://127.9.9.9/']) expect(dev(url)).toBeNull();
    for (const url of ['http://10.0.0.1/', 'http://169.254.169.254/', 'http://example.com/', 'https://192.168.0.1/', 'http://u:p@127.0.0.1/'])
      expect(dev(url)).not.toBeNull();
  });
});

describe('event patterns', () => {
  it('match exactly or with stars', () => {
    expect(matchesPattern('training.job.*', 'training.job.queued')).toBe(true);
    expect(matchesPattern('*', 'webhook.test')).toBe(true);
    expect(matchesPattern('*.queued', 'training.job.queued')).toBe(true);
    expect(matchesPattern('training.*.queued', 'training.job.queued')).toBe(true);
    expect(matchesPattern('training.job', 'training.job.queued')).toBe(false);
    expect(matchesPattern('dataset.*', 'training.job.queued')).toBe(false);
    expect(matchesPattern('ab*ba', 'aba')).toBe(false);
    expect(matchesPattern('training.job.queued', 'training.job.queued')).toBe(true);
    // A dot is a dot.
    expect(matchesPattern('training.job.*', 'trainingXjob.queued')).toBe(false);
  });
  it('that match nothing are found', () => {
    expect(uselessPatterns(['training.job.*', 'training.jobs.*', 'dataset.ready', 'x'])).toEqual(['training.jobs.*', 'x']);
  });
});
