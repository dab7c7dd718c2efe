<?php

// Copyright (C) sync for nginx

// The hooks server, api and client: php -S 127.0.0.1:PORT hooks.php

function server($q)
{
    yield ['stream' => ['progress' => 0.5]];
    yield ['final' => ['status' => 'success', 'cardId' => $q->data->cardId,
                       'movedBy' => $q->clientId]];
}

function api($q)
{
    yield ['final' => ['status' => 'success', 'echo' => $q->data]];
}

function client($q)
{
    foreach ($q->recipients as $r) {
        $mine = $r->clientId === $q->serverOutput->movedBy;
        yield ['k' => $r->k, 'out' => ['status' => 'success', 'mine' => $mine]];
    }
}

$q = json_decode(file_get_contents('php://input'));
$hooks = ['server' => 'server', 'api' => 'api', 'client' => 'client'];

header('Content-Type: application/x-ndjson');

foreach ($hooks[$q->event]($q) as $line) {
    echo json_encode($line), "\n";
    flush();
}
