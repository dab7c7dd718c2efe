
/*
 * Copyright (C) sync for nginx
 */


/*
 * nginx serves the browser module as /sync.js.
 */
export * from "../../../src/client/sync.js";
