// Drives the API through the published client library and prints what it saw as one JSON object.
// usage: node drive.js BASE_URL ACCOUNT_SID AUTH_TOKEN CALL_SID
const twilio = require("twilio");

const [baseUrl, sid, token, callSid] = process.argv.slice(2);

function connect(password) {
  const client = twilio(sid, password);
  client.api.baseUrl = baseUrl;
  return client;
}

async function outcome(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return { status: error.status ?? null, code: error.code ?? null, message: error.message, moreInfo: error.moreInfo };
  }
}

async function main() {
  const client = connect(token);
  const call = client.calls(callSid);
  const seen = {};

  seen.created = await call.siprec.create({
    name: "two words",
    connectorName: "Default",
    track: "inbound_track",
    statusCallback: "https://app.example/cb?x=1",
    statusCallbackMethod: "GET",
    "parameter1.name": "Role",
    "parameter1.value": "inbound side",
    "parameter99.name": "Last",
    "parameter99.value": "é&=",
  });
  seen.stoppedByName = await call.siprec("two words").update({ status: "stopped" });
  const second = await call.siprec.create({ track: "outbound_track" });
  seen.stoppedBySid = await call.siprec(second.sid).update({ status: "stopped" });
  seen.errors = {
    connector: await outcome(call.siprec.create({ connectorName: "nowhere" })),
    track: await outcome(call.siprec.create({ track: "left" })),
    unknown: await outcome(call.siprec("nobody").update({ status: "stopped" })),
    credentials: await outcome(connect("wrong").calls(callSid).fetch()),
    to: await outcome(client.calls.create({ to: "nobody", from: "+14155550199", twiml: "<Response/>" })),
  };
  seen.fetched = await call.fetch();
  seen.placed = await client.calls.create({
    to: "sip:desk@example.org",
    from: "+14155550199",
    url: "https://app.example/voice",
    statusCallbackEvent: ["initiated", "answered"],
  });
  seen.paged = (await client.calls.list({ pageSize: 2 })).map((one) => one.sid);
  seen.filtered = (await client.calls.list({ startTimeBefore: new Date("2026-03-02T00:00:00Z"), status: "queued" })).map(
    (one) => one.sid,
  );
  seen.ended = await call.update({ status: "completed" });
  seen.redirectEnded = await outcome(call.update({ twiml: "<Response/>" }));
  seen.removed = await call.remove();
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
