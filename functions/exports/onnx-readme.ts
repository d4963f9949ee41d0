/** README.txt of a whole exported network: what is in the archive and ten lines of Python that run it. */
import type { Preprocessing } from '../../shared/catalogue.ts';
import type { Head } from '../../shared/head.ts';
import type { Origin } from './origin.ts';

function picture(p: Extract<Preprocessing, { kind: 'image' }>): string[] {
  const square = p.resize_px ?? p.square_px;
  const skip = (square - p.input_px) >> 1;
  const [order, axes] = [p.channels === 'bgr' ? '[..., ::-1]' : '', p.layout === 'nhwc' ? '' : '.transpose(2, 0, 1)'];
  const [mean, scale] = [JSON.stringify(p.mean), JSON.stringify(p.scale)];
  const end = skip + p.input_px;
  return [
    'import json, numpy as np, onnxruntime',
    'from PIL import Image, ImageOps',
    "picture = ImageOps.exif_transpose(Image.open('picture.jpg')).convert('RGB')",
    `square = ImageOps.fit(picture, (${square}, ${square}), Image.Resampling.BILINEAR)`,
    `pixels = np.asarray(square.crop((${skip}, ${skip}, ${end}, ${end})), np.float32)`,
    `x = np.asarray((pixels${order} - ${mean}) / ${scale}, np.float32)${axes}[None]`,
  ];
}

function text(p: Extract<Preprocessing, { kind: 'text' }>): string[] {
  return [
    'import json, numpy as np, onnxruntime',
    'from tokenizers import BertWordPieceTokenizer',
    "tokenizer = BertWordPieceTokenizer('vocab.txt', lowercase=True)",
    `tokenizer.enable_truncation(${p.max_tokens})`,
    "text = open('text.txt', encoding='utf-8').read()",
    'x = np.array([tokenizer.encode(text).ids], np.int64)',
  ];
}

/** `input`: name of the graph's input. */
export function onnxReadme(head: Head, origin: Origin, preprocessing: Preprocessing, input: string): string {
  const image = preprocessing.kind === 'image';
  const code = [
    ...(image ? picture(preprocessing) : text(preprocessing)),
    "session = onnxruntime.InferenceSession('model.onnx')",
    `p, unknown = session.run(['probabilities', 'unknown'], {'${input}': x})`,
    "labels = json.load(open('labels.json', encoding='utf-8'))",
    "print(json.dumps({'unknown': bool(unknown[0]), 'scores': dict(zip(labels, p[0].tolist()))}))",
  ];
  const lines = [
    `${origin.name}: version ${origin.version} of the classifier ${origin.classifier}, made by Graft on ${origin.createdAt}.`,
    '',
    'model.onnx          backbone and head in one graph (beside it *.onnx.data with its weights, where there are any)',
    'labels.json         the labels, in the order of the scores',
    `preprocessing.json  what ${image ? 'a picture' : 'a text'} goes through before the graph`,
    ...(image ? [] : ['vocab.txt           WordPiece vocabulary']),
    '',
    `pip install onnxruntime numpy ${image ? 'pillow' : 'tokenizers'}, then in this folder, with ${image ? 'picture.jpg' : 'text.txt'} in it:`,
    '',
    ...code.map((line) => `    ${line}`),
    '',
    'Outputs: logits and probabilities [1, labels]; unknown [1]: the open-set rule says that it is none of the labels; where examples travel along,',
    'nearest (index of the label) and nearest_similarity (cosine) of the most similar one. The graph takes one input at a time.',
    ...(head.task === 'multi_label'
      ? ['Several labels may be present: each whose probability is at least 0.5. Of the nearest example its first label, −1 where it has none.']
      : []),
    ...(image
      ? [
          'Transparent pictures: paste them on white first. Pillow and the decoder that Graft serves with give nearly the same pixels, so scores differ a little.',
        ]
      : []),
    '',
    `Backbone ${origin.backbone}, licence ${origin.manifest?.license ?? 'unknown'}, from ${origin.manifest?.source ?? 'unknown'}.`,
  ];
  return `${lines.join('\n')}\n`;
}
