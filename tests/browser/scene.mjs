// SPDX-License-Identifier: MIT
import { test } from 'node:test';
import { describe, openPage } from './browser.mjs';

// A test that closes the pages it opened, and tells what they showed if it failed.
// `browserOf` gives the browser: there is none yet when tests are named.
export function scenes(browserOf) {
  return (name, act) =>
    test(name, async (t) => {
      const pages = [];
      const open = async (options, from = browserOf()) => {
        const page = await openPage(from, options);
        pages.push(page);
        return page;
      };
      try {
        await act(open, t);
      } catch (error) {
        for (const page of pages) error.message += '\n' + (await describe(page));
        throw error;
      } finally {
        for (const page of pages) await page.context().close();
      }
    });
}
