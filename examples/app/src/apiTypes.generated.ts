
/*
 * Written by the adapter: not to be changed by hand.
 */


import type { InputOf, OutputOf } from "../../node-adapter/types.js";
import type * as H1 from "./board/_api/clear_v1.js";
import type * as H2 from "./board/_api/list_v1.js";
import type * as H3 from "./board/_sync/moveCard_server_v1.js";
import type * as H4 from "./chat/_api/history_v1.js";
import type * as H5 from "./chat/_sync/sendMessage_server_v1.js";
import type * as H6 from "./chat/_sync/sendMessage_client_v1.js";
import type * as H7 from "./counter/_sync/updateCounter_server_v1.js";
import type * as H8 from "./counter/_sync/updateCounter_client_v1.js";


declare module "./sync.js" {
    interface SyncRoutes {
        "board/moveCard/v1": {
            input: InputOf<typeof H3>;
            serverOutput: OutputOf<typeof H3>;
            clientOutput: {};
        };
        "chat/sendMessage/v1": {
            input: InputOf<typeof H5>;
            serverOutput: OutputOf<typeof H5>;
            clientOutput: OutputOf<typeof H6>;
        };
        "counter/updateCounter/v1": {
            input: InputOf<typeof H7>;
            serverOutput: OutputOf<typeof H7>;
            clientOutput: OutputOf<typeof H8>;
        };
    }
}


export interface ApiRoutes {
    "board/clear/v1": {
        input: InputOf<typeof H1>;
        output: OutputOf<typeof H1>;
    };
    "board/list/v1": {
        input: InputOf<typeof H2>;
        output: OutputOf<typeof H2>;
    };
    "chat/history/v1": {
        input: InputOf<typeof H4>;
        output: OutputOf<typeof H4>;
    };
}
