
/*
 * Copyright (C) sync for nginx
 */


/*
 * Chromium with a profile of its own, for a run of steps: prints "ok NAME"
 * for each that held, ends with status 1 at the first that does not.
 *
 * SYNC_SLOW multiplies all timeouts, CHROMIUM names the browser.
 */


import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";


export const TIMEOUT = 15000 * Number(process.env.SYNC_SLOW ?? 1);

/* What pages said on their consoles, and what they threw. */
export const complaints = [];


export function held(name) {
    console.log("ok " + name);
}


/*
 * Calls steps(open), where open(url, name) resolves to a page.
 */
export async function drive(steps) {
    const profile = await mkdtemp(join(tmpdir(), "sync-browser-"));
    const browser = await chromium.launchPersistentContext(profile, {
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        headless: true,
        viewport: { width: 1280, height: 760 },
        hasTouch: true,
        args: [
            "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"
        ]
    });

    browser.setDefaultTimeout(TIMEOUT);

    try {
        await steps((url, name) => open(browser, url, name));

    } catch (e) {
        console.log("not ok " + e.stack);
        complaints.forEach((text) => console.log(text));
        process.exitCode = 1;

    } finally {
        await browser.close();
        await rm(profile, { recursive: true, force: true });
    }
}


async function open(browser, url, name) {
    const page = await browser.newPage();

    page.on("pageerror", (e) => complaints.push(name + ": " + e.stack));
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) {
            complaints.push(name + ": " + message.text());
        }
    });

    await page.goto(url);

    return page;
}
