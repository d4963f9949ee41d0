/*
 * Decodes JPEG, PNG and WebP to the centre square of side S as RGB bytes, streaming rows so that a 24-megapixel photograph needs a few MiB.
 * JPEG is scaled in the DCT (1/1 to 1/8) to the smallest size whose short side is >= minShort, then box-reduced by an integer, then
 * resampled with an antialiased triangle filter; PNG and WebP are box-reduced while they stream. Alpha is composited on white.
 * Every failure leaves through env.fail(code): 1000 + libjpeg code, 2000 + libspng code, 3000 + libwebp code, 3 out of memory, 20 progressive too big.
 * Orientation is not applied here (done on the final square by the caller). The host must check pixel limits from the header first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <math.h>
#include "jpeglib.h"
#include "jerror.h"
#include "spng.h"
#include "webp/decode.h"
#define EXP(n) __attribute__((export_name(n)))
__attribute__((import_module("env"),import_name("fail"),noreturn)) void js_fail(int code);
static uint8_t *in_buf; static uint8_t *mid, *outb; static int outcap;
static int info[16];
static void*xm(size_t n){void*p=malloc(n); if(!p) js_fail(3); return p;}
#define malloc(n) xm(n)
static void*xc(size_t a,size_t b){void*p=calloc(a,b); if(!p) js_fail(3); return p;}

/* info: 0 fmt 1 w 2 h 3 progressive 4 ncomp 5 warnings 6 midw 7 midh 8 denom/k 9 coefKB */
EXP("info_ptr") int *info_ptr(void){return info;}
EXP("in_alloc") uint8_t *in_alloc(int n){ free(in_buf); in_buf=malloc(n); return in_buf;}
EXP("in_free") void in_free(void){ free(in_buf); in_buf=0; }
EXP("out_ptr") uint8_t *out_ptr(void){return outb;}
static void jerr(j_common_ptr c){ js_fail(1000+c->err->msg_code); }
static void jmsg(j_common_ptr c,int lvl){ if(lvl<0) c->err->num_warnings++; }
static void jout(j_common_ptr c){}
/* crop square geometry on a wxh image */
typedef struct {int x0,y0,side,k,mw,x,y;} Box;
static int mside; static uint32_t *acc;
/* triangle filter (antialias) mid (mside x mside) -> S x S */
static void tri(const uint8_t*src,int n,uint8_t*dst,int S){
  double sc=(double)n/S, fs=sc<1?1:sc; int ks=(int)ceil(fs)*2+1;
  float*wt=malloc(sizeof(float)*ks*S); int*st=malloc(sizeof(int)*S),*ln=malloc(sizeof(int)*S);
  for(int i=0;i<S;i++){ double c=(i+0.5)*sc; int a=(int)(c-fs+0.5),b=(int)(c+fs+0.5); if(a<0)a=0; if(b>n)b=n; double s=0; int m=b-a; 
    for(int j=0;j<m;j++){ double v=fabs((j+a-c+0.5)/fs); v=v<1?1-v:0; wt[i*ks+j]=v; s+=v;} for(int j=0;j<m;j++) wt[i*ks+j]/=s; st[i]=a; ln[i]=m; }
  float*tmp=malloc(sizeof(float)*n*S*3);
  for(int y=0;y<n;y++) for(int i=0;i<S;i++){ float r=0,g=0,b=0; const uint8_t*p=src+(y*n+st[i])*3; const float*w=wt+i*ks; for(int j=0;j<ln[i];j++){r+=w[j]*p[0];g+=w[j]*p[1];b+=w[j]*p[2];p+=3;} float*t=tmp+(y*S+i)*3; t[0]=r;t[1]=g;t[2]=b; }
  for(int i=0;i<S;i++){ const float*w=wt+i*ks; for(int x=0;x<S*3;x++){ float r=0; const float*t=tmp+st[i]*S*3+x; for(int j=0;j<ln[i];j++){ r+=w[j]*t[0]; t+=S*3;} int v=(int)(r+0.5f); dst[i*S*3+x]=v<0?0:v>255?255:v; } }
  free(wt);free(st);free(ln);free(tmp);
}
static void finish(int S){ if(outcap<S*S*3){ free(outb); outb=malloc(S*S*3); outcap=S*S*3; } tri(mid,mside,outb,S); free(mid); mid=0; info[6]=info[7]=mside; }
static void alloc_mid(void){ mid=malloc(mside*mside*3); if(!mid) js_fail(3); }

EXP("jpeg_dec") int jpeg_dec(int n,int S,int cropPm,int minShort,int maxCoefKB){
  struct jpeg_decompress_struct c; struct jpeg_error_mgr e; memset(info,0,sizeof info);
  c.err=jpeg_std_error(&e); e.error_exit=jerr; e.emit_message=jmsg; e.output_message=jout;
  jpeg_create_decompress(&c); jpeg_mem_src(&c,in_buf,n);
  jpeg_read_header(&c,TRUE);
  int w=c.image_width,h=c.image_height,sh=w<h?w:h; info[0]=1;info[1]=w;info[2]=h;info[3]=c.progressive_mode;info[4]=c.num_components;
  if(jpeg_has_multiple_scans(&c)){ double kb=0; for(int i=0;i<c.num_components;i++){ jpeg_component_info*q=c.comp_info+i; kb+=(double)(q->width_in_blocks+1)*(q->height_in_blocks+1)*128/1024; } info[9]=(int)kb; if(kb>maxCoefKB) js_fail(20); }
  int d=8; while(d>1 && (sh+d-1)/d<minShort) d>>=1; info[8]=d;
  c.scale_num=1;c.scale_denom=d; c.do_fancy_upsampling=FALSE; c.dct_method=JDCT_ISLOW;
  int cmyk=0; if(c.jpeg_color_space==JCS_CMYK||c.jpeg_color_space==JCS_YCCK){c.out_color_space=JCS_CMYK;cmyk=1;} else c.out_color_space=JCS_RGB;
  jpeg_start_decompress(&c);
  int W=c.output_width,H=c.output_height; sh=W<H?W:H; int side=(int)((double)sh*cropPm/1000+0.5); if(side<1)side=1; int x0=(W-side)/2,y0=(H-side)/2;
  int k=side/ (minShort>0?minShort:1); if(k<1)k=1; /* extra box reduce if still huge */
  mside=(side+k-1)/k; if(k>1) mside=side/k; if(mside<1)mside=1; alloc_mid(); 
  if(k>1){acc=xc(mside*3,4);} 
  int oc=c.output_components; uint8_t*row=malloc(W*oc+16); int inv=c.saw_Adobe_marker;
  while((int)c.output_scanline<H){ int y=c.output_scanline; JSAMPROW r=row; jpeg_read_scanlines(&c,&r,1);
    /* rows below the square are read too: a truncated file must be found wherever it ends */
    int yy=y-y0; if(yy<0||yy>=mside*k) continue;
    uint8_t*p=row+x0*oc; 
    if(cmyk){ for(int x=0;x<side;x++){ int C=p[x*4],M=p[x*4+1],Y=p[x*4+2],K=p[x*4+3]; if(!inv){C=255-C;M=255-M;Y=255-Y;K=255-K;} row[x*3]=C*K/255;row[x*3+1]=M*K/255;row[x*3+2]=Y*K/255;} p=row; }
    if(k==1) memcpy(mid+yy*mside*3,p,mside*3);
    else { for(int x=0;x<mside;x++) for(int j=0;j<k;j++){ acc[x*3]+=p[0];acc[x*3+1]+=p[1];acc[x*3+2]+=p[2];p+=3; } if(yy%k==k-1){ for(int x=0;x<mside*3;x++) mid[(yy/k)*mside*3+x]=acc[x]/(k*k); memset(acc,0,mside*12);} }
  }
  jpeg_finish_decompress(&c); info[5]=e.num_warnings; info[10]=k;
  jpeg_destroy_decompress(&c); free(row); if(k>1){free(acc);acc=0;}
  in_free(); finish(S); return 0;
}
static const int ax0[7]={0,4,0,2,0,1,0},ay0[7]={0,0,4,0,2,0,1},adx[7]={8,8,4,4,2,2,1},ady[7]={8,8,8,4,4,2,2};
EXP("png_dec") int png_dec(int n,int S,int cropPm,int minShort){
  memset(info,0,sizeof info); info[0]=2; spng_ctx*c=spng_ctx_new(0); if(!c) js_fail(3);
  spng_set_png_buffer(c,in_buf,n); spng_set_image_limits(c,65535,65535); spng_set_chunk_limits(c,4<<20,4<<20);
  struct spng_ihdr ih; int r=spng_get_ihdr(c,&ih); if(r) js_fail(2000+r);
  int w=ih.width,h=ih.height,sh=w<h?w:h; info[1]=w;info[2]=h;info[3]=ih.interlace_method;info[4]=ih.color_type;info[5]=ih.bit_depth;
  int side=(int)((double)sh*cropPm/1000+0.5); if(side<1)side=1; int x0=(w-side)/2,y0=(h-side)/2; int k=side/minShort; if(k<1)k=1; mside=side/k; info[8]=k;
  int fmt=SPNG_FMT_RGBA8; size_t len;
  r=spng_decode_image(c,NULL,0,fmt,SPNG_DECODE_PROGRESSIVE|SPNG_DECODE_TRNS); if(r) js_fail(2000+r);
  alloc_mid(); int il=ih.interlace_method; acc=xc(il?mside*mside*3:mside*3,4); if(!acc) js_fail(3);
  uint8_t*row=malloc((size_t)w*4+16); int lim=mside*k;
  for(;;){ struct spng_row_info ri; r=spng_get_row_info(c,&ri); if(r==SPNG_EOI)break; if(r) js_fail(2000+r);
    r=spng_decode_scanline(c,row,(size_t)w*4); if(r&&r!=SPNG_EOI) js_fail(2000+r);
    if(!il){ int yy=(int)ri.row_num-y0; if(yy>=0&&yy<lim){ uint8_t*p=row+x0*4; for(int x=0;x<mside;x++) for(int j=0;j<k;j++){ int a=p[3]; if(a==255){acc[x*3]+=p[0];acc[x*3+1]+=p[1];acc[x*3+2]+=p[2];} else {int b=(255-a)*255; acc[x*3]+=(p[0]*a+b)/255;acc[x*3+1]+=(p[1]*a+b)/255;acc[x*3+2]+=(p[2]*a+b)/255;} p+=4; }
        if(yy%k==k-1){ for(int x=0;x<mside*3;x++) mid[(yy/k)*mside*3+x]=acc[x]/(k*k); memset(acc,0,mside*12);} }}
    else { int ps=ri.pass; int y=ri.row_num; int yy=y-y0; if(yy>=0&&yy<lim){ uint32_t*A=acc+(yy/k)*mside*3; uint8_t*p=row; for(int x=ax0[ps];x<w;x+=adx[ps],p+=4){ int xx=x-x0; if(xx<0||xx>=lim) continue; int a=p[3],b=(255-a)*255; uint32_t*q=A+(xx/k)*3; q[0]+=(p[0]*a+b)/255;q[1]+=(p[1]*a+b)/255;q[2]+=(p[2]*a+b)/255; } } }
    if(r==SPNG_EOI) break;
  }
  if(il) for(int i=0;i<mside*mside*3;i++) mid[i]=acc[i]/(k*k);
  free(acc);acc=0;free(row); spng_ctx_free(c); in_free(); finish(S); return 0;
}
EXP("webp_dec") int webp_dec(int off,int n,int S,int cropPm,int minShort){
  memset(info,0,sizeof info); info[0]=3; WebPDecoderConfig c; if(!WebPInitDecoderConfig(&c)) js_fail(3);
  int r=WebPGetFeatures(in_buf+off,n,&c.input); if(r) js_fail(3000+r);
  int w=c.input.width,h=c.input.height,sh=w<h?w:h; info[1]=w;info[2]=h;info[3]=c.input.format;info[4]=c.input.has_alpha;
  int side=(int)((double)sh*cropPm/1000+0.5); if(side<1)side=1; int k=side/minShort; if(k<1)k=1; int m=side/k; info[8]=k; mside=m;
  c.options.use_cropping=1; c.options.crop_left=((w-side)/2)&~1; c.options.crop_top=((h-side)/2)&~1; c.options.crop_width=m*k; c.options.crop_height=m*k; c.options.no_fancy_upsampling=1;
  c.options.use_scaling=1; c.options.scaled_width=m;c.options.scaled_height=m;
  uint8_t*buf=malloc(m*m*4); c.output.colorspace=MODE_RGBA; c.output.is_external_memory=1; c.output.u.RGBA.rgba=buf; c.output.u.RGBA.stride=m*4; c.output.u.RGBA.size=m*m*4;
  r=WebPDecode(in_buf+off,n,&c); if(r) js_fail(3000+r);
  in_free(); alloc_mid(); for(int i=0;i<m*m;i++){ int a=buf[i*4+3],b=(255-a)*255; for(int j=0;j<3;j++) mid[i*3+j]=(buf[i*4+j]*a+b)/255; }
  free(buf); WebPFreeDecBuffer(&c.output); finish(S); return 0;
}
