/** Who is signed in. */

import { api, Refused, setToken, whenSignedOut } from './api';
import type { Session } from './types';

/** `undefined` until the server has been asked. */
export const session = $state<{ now: Session | null | undefined; notice: string }>({
  now: undefined,
  notice: '',
});

/** Take over what the server says of who is signed in. */
export function enter(now: Session): void {
  setToken(now.csrf);
  session.now = now;
  session.notice = '';
}

/** Ask the server who is signed in. */
export async function ask(): Promise<void> {
  try {
    enter(await api.session());
  } catch (error) {
    session.now = null;
    if (!(error instanceof Refused && error.status === 401)) {
      session.notice = error instanceof Error ? error.message : String(error);
    }
  }
}

/** Sign out. */
export async function leave(): Promise<void> {
  await api.signOut();
  session.now = null;
}

whenSignedOut(() => {
  if (session.now) session.notice = 'Your session has ended. Sign in to go on.';
  session.now = null;
});
