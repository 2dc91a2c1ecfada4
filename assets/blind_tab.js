// The booth on the Compare tab, inside a gr.HTML component; blind.js stands before this. props.value is {pair, trouble}; without a
// pair, the one that is open stays.
const booth = blindBooth(element, (vote) => trigger("submit", vote));
const fileAt = (path) => `${window.gradio_config?.root ?? ""}/gradio_api/file=${path}`;
const take = () => {
  const { pair, trouble = "" } = props.value ?? {};
  if (pair !== undefined) booth.show(pair && { ...pair, left: fileAt(pair.left), right: fileAt(pair.right) });
  if (trouble) booth.failed(trouble);
};
take();
watch("value", take);
