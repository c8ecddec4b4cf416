import { getConfig } from "./config";

/** Return the path of Django's login page, which leads back to `path` afterwards. */
export function loginPath(path: string): string {
  return `${getConfig().loginPath}?${new URLSearchParams({ next: path })}`;
}
