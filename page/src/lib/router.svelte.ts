/** Which page is shown: the part of the address after the hash. */

export interface Place {
  page: string;
  id: string | null;
  query: URLSearchParams;
}

/** Read the part after the hash. */
export function read(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [page = '', id] = path.split('/');
  return {
    page: page || 'worklist',
    id: id ? decodeURIComponent(id) : null,
    query: new URLSearchParams(query),
  };
}

export const place = $state({ now: read(location.hash) });

addEventListener('hashchange', () => {
  place.now = read(location.hash);
});

/** Go to another page. */
export function go(path: string): void {
  location.hash = `#/${path}`;
}
