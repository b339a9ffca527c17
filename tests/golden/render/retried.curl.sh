# left out, because their values were not kept: cookie
pinhole captures show --raw request 01a1f95a-9728-7002-8def-0123456789ab |
curl -sS -N 'http://127.0.0.1:8000/v1/chat/completions' \
  -H "authorization: Bearer $PINHOLE_API_KEY" \
  -H 'content-type: application/json' \
  -H 'user-agent: codex_cli_rs/0.58.0 (Ubuntu 24.04; x86_64) xterm-256color' \
  -H 'accept: text/event-stream' \
  --data-binary @-
