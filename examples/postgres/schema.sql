
-- What the example watches.  The publication names the tables; with the full
-- identity a change tells the old row, too.

CREATE TABLE card (
    id     integer PRIMARY KEY,
    board  text NOT NULL,
    title  text NOT NULL
);

ALTER TABLE card REPLICA IDENTITY FULL;

CREATE PUBLICATION sync FOR TABLE card;
