import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Other pages know no loopback name: a name of theirs that resolves to this host is none. */
const LOOPBACK_NAME = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/i;
const COOKIE = 'file-backup-codec';
const SECRET_BYTES = 32;

export interface AccessOptions {
  /** Hexadecimal digits that the owner knows. */
  readonly token: string;
  /** Web UIs that may ask, as browsers write origins. */
  readonly uiOrigins: readonly string[];
}

/** Who may ask: holders of the token, and the browser in which its owner has followed the link. */
export interface Access {
  /** Part of the link that lets one browser in, once. */
  readonly code: string;
  /** Whether it was sent to this host by its own name, and by no page but those that may. */
  isFromHere(request: IncomingMessage): boolean;
  isAllowed(request: IncomingMessage): boolean;
  /** The cookie for whoever has the link; undefined for anything else, and from the second time on. */
  admit(code: string): string | undefined;
}

export function createAccess({ token, uiOrigins }: AccessOptions): Access {
  const code = randomBytes(SECRET_BYTES).toString('hex');
  // Not the token: browsers show cookies to whatever listens on any port of a host, and this one is worth nothing after us.
  const session = randomBytes(SECRET_BYTES).toString('hex');
  let isUsed = false;
  return {
    code,
    isFromHere: ({ headers: { host, origin } }) => LOOPBACK_NAME.test(host ?? '') && (origin === undefined || uiOrigins.includes(origin)),
    isAllowed({ headers: { authorization, cookie, origin } }) {
      const bearer = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
      if (bearer !== undefined && isSame(bearer, token)) return true;
      return origin !== undefined && cookiesIn(cookie).some((value) => isSame(value, session));
    },
    admit(shown) {
      if (isUsed || !isSame(shown, code)) return undefined;
      isUsed = true;
      return `${COOKIE}=${session}; HttpOnly; SameSite=Strict; Path=/decode`;
    },
  };
}

function cookiesIn(header: string | undefined): string[] {
  const prefix = `${COOKIE}=`;
  return (header ?? '').split(';').map((part) => part.trim()).filter((part) => part.startsWith(prefix)).map((part) => part.slice(prefix.length));
}

/** In a time that tells nothing of either. */
function isSame(found: string, expected: string): boolean {
  return timingSafeEqual(digestOf(found), digestOf(expected));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
