// What the Next.js example makes of tokens. Argument: the folder of its compiled lib. Standard input:
// JSON with `now` and `tokens`. Standard output: for each the claims, null, or what was thrown.
const { text } = require("node:stream/consumers");
const { readToken } = require(`${process.argv[2]}/token.js`);

async function read(token, now) {
  try {
    return await readToken(token, now);
  } catch (error) {
    return `threw ${error.name}: ${error.message}`;
  }
}

text(process.stdin).then(async (input) => {
  const { now, tokens } = JSON.parse(input);
  const answers = [];
  for (const token of tokens) answers.push(await read(token, now));
  console.log(JSON.stringify(answers));
});
