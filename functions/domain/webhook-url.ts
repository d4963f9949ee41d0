/**
 * Where webhooks may go: https to public names and addresses. Names are judged by their form; a public name that resolves to a private address is
 * stopped by the platform's egress (Workers reach no private networks), not here. Pure.
 */

/** 443, and the two that gateways commonly listen on for https beside it. */
const PORTS: ReadonlySet<string> = new Set(['', '443', '8443']);
const LOCAL_SUFFIXES = ['localhost', 'local', 'internal', 'intranet', 'lan', 'home', 'corp', 'home.arpa', 'onion', 'invalid', 'test', 'example'];

/** Reserved IPv4 blocks (RFC 6890, RFC 6598, RFC 5737, RFC 2544): [first address, prefix length, name]. */
const IPV4_BLOCKS: readonly [string, number, string][] = [
  ['0.0.0.0', 8, 'unspecified'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'carrier-grade NAT'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local or metadata'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'reserved'],
  ['192.0.2.0', 24, 'documentation'],
  ['192.88.99.0', 24, 'reserved'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'benchmarking'],
  ['198.51.100.0', 24, 'documentation'],
  ['203.0.113.0', 24, 'documentation'],
  ['224.0.0.0', 3, 'multicast or reserved'],
];
/** Alibaba's and Oracle's metadata services live in blocks above; Azure's wire server is a public address. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set(['168.63.129.16']);

function ipv4Number(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return null;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

function ipv4Fault(address: number, text: string): string | null {
  if (METADATA_ADDRESSES.has(text)) return 'a metadata address';
  for (const [start, bits, name] of IPV4_BLOCKS) {
    const size = 2 ** (32 - bits);
    const first = ipv4Number(start) ?? 0;
    if (address >= first && address < first + size) return `${name === 'unspecified' ? 'an' : 'a'} ${name} address`;
  }
  return null;
}

/** Eight 16-bit groups of an IPv6 address as the URL parser writes it, or null. */
function ipv6Groups(text: string): number[] | null {
  const [head = '', tail, ...rest] = text.split('::');
  if (rest.length > 0) return null;
  const groups = (side: string) => (side === '' ? [] : side.split(':').map((group) => Number.parseInt(group, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => 0), ...after];
  return all.length === 8 && all.every((group) => group >= 0 && group <= 0xffff) ? all : null;
}

function embeddedIpv4(high: number, low: number): { number: number; text: string } {
  return { number: high * 65_536 + low, text: `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}` };
}

function ipv6Fault(groups: number[]): string | null {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  if (groups.slice(0, 7).every((group) => group === 0) && h <= 1) return h === 1 ? 'a loopback address' : 'an unspecified address';
  const v4 = (high: number, low: number) => {
    const inner = embeddedIpv4(high, low);
    return ipv4Fault(inner.number, inner.text);
  };
  // IPv4-mapped and -compatible, NAT64 and 6to4 carry an IPv4 address inside.
  if (a === 0 && b === 0 && c === 0 && d === 0 && (e === 0 || e === 0xffff) && (f === 0 || f === 0xffff)) return v4(g, h) ?? 'an IPv4-mapped address';
  if (a === 0x64 && b === 0xff9b) return 'a NAT64 address';
  if (a === 0x2002) return v4(b, c);
  if ((a & 0xe000) !== 0x2000)
    return (a & 0xfe00) === 0xfc00 ? 'a private address' : (a & 0xffc0) === 0xfe80 ? 'a link-local address' : 'a reserved address';
  if (a === 0x2001 && b < 0x200) return 'a reserved address';
  if (a === 0x2001 && b === 0xdb8) return 'a documentation address';
  return null;
}

/** What is wrong with the host, or null; `loopback` tells whether it is this machine itself. */
function judgeHost(hostname: string): { fault: string | null; loopback: boolean } {
  const host = hostname.toLowerCase().replace(/\.+$/, '');
  if (host.startsWith('[')) {
    const groups = ipv6Groups(host.slice(1, -1));
    const fault = groups ? ipv6Fault(groups) : 'not an address';
    return { fault, loopback: fault === 'a loopback address' };
  }
  const address = ipv4Number(host);
  if (address !== null) {
    const fault = ipv4Fault(address, host);
    return { fault, loopback: fault === 'a loopback address' };
  }
  if (host === 'localhost' || host.endsWith('.localhost')) return { fault: 'a loopback name', loopback: true };
  if (!host.includes('.')) return { fault: 'a name of a local network', loopback: false };
  if (LOCAL_SUFFIXES.some((suffix) => host.endsWith(`.${suffix}`))) return { fault: 'a name of a local network', loopback: false };
  return { fault: null, loopback: false };
}

/** Why this URL may not be called, as the end of a sentence that begins with "The webhook URL"; null when it may. */
export function webhookUrlFault(text: string, rules: { allowLoopback: boolean }): string | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'is not a URL';
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must begin with https://';
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or password';
  const { fault, loopback } = judgeHost(url.hostname);
  if (loopback && rules.allowLoopback) return null;
  if (fault) return `names ${fault}, which webhooks may not reach`;
  if (url.protocol !== 'https:') return 'must begin with https://';
  if (!PORTS.has(url.port)) return `names port ${url.port}; webhooks go to 443 or 8443`;
  return null;
}
